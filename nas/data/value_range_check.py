"""Whether a set of image files uses a small part of the values that its files can hold."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from nas.core.terminal import print_warning
from nas.data.decode import bounded_decoding, opened_image
from nas.data.pixel_values import stored_range

_PROBED = 16  # files, spread over the set
_FEW = 16  # levels of 256: the values of a set within so few are squeezed
_FEW_DEEP = 64  # likewise if the files have 16 bits, of which 8 are lost


def warn_if_squeezed(paths: Sequence[Path], root: Path, decoded: Tensor | None = None) -> None:
    """Print one line if 16 of ``paths``, spread evenly, use few of the 256 levels that remain of their values.

    12 bits in a file of 16 are an example: 4095 of 65535 become 15 of 255. ``decoded``, uint8, if the files are decoded
    already: nothing is read if that shows enough levels. Raises :class:`InputError` for a file that cannot be read.
    """
    if decoded is not None:
        least, most = decoded[:: max(1, len(decoded) // _PROBED)].aminmax()
        if int(most) - int(least) > _FEW_DEEP:
            return
    chosen = [paths[index * len(paths) // min(_PROBED, len(paths))] for index in range(min(_PROBED, len(paths)))]
    ranges = []
    with bounded_decoding():
        for path in chosen:
            with opened_image(path) as image:
                ranges.append(stored_range(image))
    low, high = min(found[0] for found in ranges), max(found[1] for found in ranges)
    deep = any(found[2] for found in ranges)
    unit = 257 if deep else 1
    levels = int(high // unit - low // unit) + 1
    if low < high and levels <= (_FEW_DEEP if deep else _FEW):
        depth = "16 bits" if deep else "8 bits"
        print_warning(
            f"data.root={root}: the values of {len(chosen)} images are {low:g}..{high:g}, of {depth}: "
            f"{levels} of 256 levels remain; data.range=[LOW,HIGH] spreads them"
        )
