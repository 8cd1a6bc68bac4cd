"""Data settings: the keys of ``conf/data/*.yaml``."""

import math
from dataclasses import dataclass

from nas.core.errors import InputError
from nas.core.limits import MAX_SIDE, MAX_WORKERS
from nas.data.augment import AugmentSettings


@dataclass(frozen=True)
class DataSettings:
    """Dataset and augmentation. Raises :class:`InputError` naming the invalid key.

    ``name``: a registered dataset. ``root``: its folder, also for downloads. ``cache``: folder for decoded images.
    ``size``: side in pixels to resize images to (None: keep their size). ``limit``: maximum number of training images
    (None: all). ``pad``, ``flip``, ``cutout``: see :class:`AugmentSettings`. ``stream``: keep the images of a folder
    on disk and let ``workers`` processes read each batch; random resized crops with color ``jitter`` then replace
    ``pad``. ``range`` (low, high): the values of image files that become black and white, None: all of 8 or 16 bits.
    """

    name: str
    root: str | None = None
    cache: str = "data/cache"
    size: int | None = None
    limit: int | None = None
    pad: int = 4
    flip: bool = True
    cutout: int = 0
    stream: bool = False
    workers: int = 4
    jitter: float = 0.0
    range: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for key, value in (("size", self.size), ("limit", self.limit)):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise InputError(f"data.{key}={value!r}: must be a whole number, 1 or more, or null")
        if self.size is not None and self.size > MAX_SIDE:
            raise InputError(f"data.size={self.size}: must be at most {MAX_SIDE}")
        for key, text in (("name", self.name), ("cache", self.cache), ("root", self.root)):
            optional = key == "root" and text is None
            if not optional and (not isinstance(text, str) or not text):
                raise InputError(f"data.{key}={text!r}: must be a non-empty string")
        self._check_range()
        self._check_stream()
        self.augment  # noqa: B018 - checks pad, flip and cutout

    def check_in_memory(self) -> None:
        """Raise :class:`InputError` if the images would be streamed."""
        if self.stream:
            raise InputError("data.stream=true: a search holds its images in memory; allowed in retrain.py only")

    @property
    def augment(self) -> AugmentSettings:
        """The augmentation of training batches."""
        return AugmentSettings(0 if self.stream else self.pad, self.flip, self.cutout)

    def _check_range(self) -> None:
        if self.range is None:
            return
        given = f"data.range={list(self.range)}"
        if len(self.range) != 2 or not all(map(math.isfinite, self.range)) or self.range[0] >= self.range[1]:
            raise InputError(f"{given}: must be [LOW,HIGH], two numbers with LOW below HIGH, or null")
        if self.name in ("cifar10", "cifar100", "digits"):
            raise InputError(f"{given}: data={self.name} has bytes; allowed: data=folder")

    def _check_stream(self) -> None:
        if not isinstance(self.stream, bool):
            raise InputError(f"data.stream={self.stream!r}: must be true or false")
        if isinstance(self.workers, bool) or not isinstance(self.workers, int) or self.workers < 0:
            raise InputError(f"data.workers={self.workers!r}: must be a whole number of processes, 0 or more")
        if self.workers > MAX_WORKERS:
            raise InputError(f"data.workers={self.workers}: must be at most {MAX_WORKERS}")
        if isinstance(self.jitter, bool) or not isinstance(self.jitter, int | float) or not 0 <= self.jitter <= 1:
            raise InputError(f"data.jitter={self.jitter!r}: must be a number in 0..1")
        if self.stream and self.name != "folder":
            raise InputError(f"data.stream=true: data={self.name} is held in memory; allowed: data=folder")
        if self.stream and self.size is None:
            raise InputError("data.stream=true: needs data.size=N, the side of the crops, such as 224")
        if self.jitter and not self.stream:
            raise InputError(f"data.jitter={self.jitter}: needs data.stream=true")
