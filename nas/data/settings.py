"""What the user chooses about the data: the keys of ``conf/data/*.yaml``."""

from dataclasses import dataclass

from nas.core.errors import InputError
from nas.core.limits import MAX_SIDE, MAX_WORKERS
from nas.data.augment import AugmentSettings


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how they are augmented. Raises :class:`InputError` naming the key that is wrong.

    ``name``: a registered dataset. ``root``: where it lies, or where it is downloaded to. ``cache``: folder for
    decoded images. ``size``: side in pixels that images are brought to (None: as they are). ``limit``: how many
    training images to use at most (None: all). ``pad``, ``flip``, ``cutout``: see :class:`AugmentSettings`.
    ``stream``: leave the images of a folder on disk, where ``workers`` processes read them for each batch; random
    crops of any size, with ``jitter`` in their colours, then take the place of ``pad``.
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

    def __post_init__(self) -> None:
        for key, value in (("size", self.size), ("limit", self.limit)):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise InputError(f"data.{key}={value!r}: a whole number, 1 or more, or null")
        if self.size is not None and self.size > MAX_SIDE:
            raise InputError(f"data.size={self.size}: at most {MAX_SIDE}")
        for key, text in (("name", self.name), ("cache", self.cache), ("root", self.root)):
            optional = key == "root" and text is None
            if not optional and (not isinstance(text, str) or not text):
                raise InputError(f"data.{key}={text!r}: must be text and not empty")
        self._check_stream()
        self.augment  # noqa: B018 - checks pad, flip and cutout

    @property
    def augment(self) -> AugmentSettings:
        """How training images are augmented, once they are of one size."""
        return AugmentSettings(0 if self.stream else self.pad, self.flip, self.cutout)

    def _check_stream(self) -> None:
        if not isinstance(self.stream, bool):
            raise InputError(f"data.stream={self.stream!r}: true or false")
        if isinstance(self.workers, bool) or not isinstance(self.workers, int) or self.workers < 0:
            raise InputError(f"data.workers={self.workers!r}: a whole number of processes, 0 or more")
        if self.workers > MAX_WORKERS:
            raise InputError(f"data.workers={self.workers}: at most {MAX_WORKERS}")
        if isinstance(self.jitter, bool) or not isinstance(self.jitter, int | float) or not 0 <= self.jitter <= 1:
            raise InputError(f"data.jitter={self.jitter!r}: a number in 0..1")
        if self.stream and self.name != "folder":
            raise InputError(f"data.stream=true: data={self.name} is held in memory; data=folder streams")
        if self.stream and self.size is None:
            raise InputError("data.stream=true: give data.size=N, the side that images are cropped to, such as 224")
        if self.jitter and not self.stream:
            raise InputError(f"data.jitter={self.jitter}: needs data.stream=true")
