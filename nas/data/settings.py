"""What the user chooses about the data: the keys of ``conf/data/*.yaml``."""

from dataclasses import dataclass

from nas.core.errors import InputError
from nas.data.augment import AugmentSettings


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how they are augmented. Raises :class:`InputError` naming the key that is wrong.

    ``name``: a registered dataset. ``root``: where it lies, or where it is downloaded to. ``cache``: folder for
    decoded images. ``size``: side in pixels that images are brought to (None: as they are). ``limit``: how many
    training images to use at most (None: all). ``pad``, ``flip``, ``cutout``: see :class:`AugmentSettings`.
    """

    name: str
    root: str | None = None
    cache: str = "data/cache"
    size: int | None = None
    limit: int | None = None
    pad: int = 4
    flip: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        for key, value in (("size", self.size), ("limit", self.limit)):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise InputError(f"data.{key}={value!r}: a whole number, 1 or more, or null")
        for key, text in (("name", self.name), ("cache", self.cache), ("root", self.root)):
            optional = key == "root" and text is None
            if not optional and (not isinstance(text, str) or not text):
                raise InputError(f"data.{key}={text!r}: must be text and not empty")
        self.augment  # noqa: B018 - checks pad, flip and cutout

    @property
    def augment(self) -> AugmentSettings:
        """How training images are augmented."""
        return AugmentSettings(self.pad, self.flip, self.cutout)
