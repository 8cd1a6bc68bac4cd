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
    ``test_fraction`` of each class of a flat folder are test images, the same in every run. ``valid``: a folder of
    images for the alphas of a search, in ``root`` or a path (None: they get a part of the training images).
    ``dataset``: torchvision's name of a set. ``holdout`` (a fraction): that share of each class of the training
    images, the same in every run, takes the place of the test images, so that choices can be made without these.
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
    test_fraction: float | None = None
    valid: str | None = None
    dataset: str | None = None
    holdout: float | None = None

    def __post_init__(self) -> None:
        for key, value in (("size", self.size), ("limit", self.limit)):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise InputError(f"data.{key}={value!r}: must be a whole number, 1 or more, or null")
        if self.size is not None and self.size > MAX_SIDE:
            raise InputError(f"data.size={self.size}: must be at most {MAX_SIDE}")
        for key, text in (("name", self.name), ("cache", self.cache), ("root", self.root), ("valid", self.valid)):
            optional = key in ("root", "valid") and text is None
            if not optional and (not isinstance(text, str) or not text):
                raise InputError(f"data.{key}={text!r}: must be a non-empty string")
        if self.dataset is not None and self.name != "torchvision":
            raise InputError(f"data.dataset={self.dataset}: not for data={self.name}; allowed: data=torchvision")
        number = isinstance(self.holdout, int | float) and not isinstance(self.holdout, bool)
        if self.holdout is not None and not (number and 0 < self.holdout < 1):
            raise InputError(f"data.holdout={self.holdout!r}: must lie between 0 and 1, or be null")
        self._check_files()
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

    def _check_files(self) -> None:
        """Check what holds for data in files of the user's own."""
        shipped = self.name in ("cifar10", "cifar100", "digits", "torchvision")
        for key, value in (("range", self.range), ("test_fraction", self.test_fraction), ("valid", self.valid)):
            given = f"data.{key}={list(value) if isinstance(value, tuple) else value}"
            if value is not None and (shipped or (self.name == "arrays" and key != "test_fraction")):
                raise InputError(f"{given}: not for data={self.name}; allowed: data=folder")
            if key == "test_fraction" and value is not None and not 0 < float(str(value)) < 1:
                raise InputError(f"{given}: must lie between 0 and 1, or be null")
            if isinstance(value, tuple):
                ordered = len(value) == 2 and all(map(math.isfinite, value)) and value[0] < value[1]
                if not ordered:
                    raise InputError(f"{given}: must be [LOW,HIGH], two numbers with LOW below HIGH, or null")

    def _check_stream(self) -> None:
        if not isinstance(self.stream, bool):
            raise InputError(f"data.stream={self.stream!r}: must be true or false")
        if isinstance(self.workers, bool) or not isinstance(self.workers, int) or self.workers < 0:
            raise InputError(f"data.workers={self.workers!r}: must be a whole number of processes, 0 or more")
        if self.workers > MAX_WORKERS:
            raise InputError(f"data.workers={self.workers}: must be at most {MAX_WORKERS}")
        if isinstance(self.jitter, bool) or not isinstance(self.jitter, int | float) or not 0 <= self.jitter <= 1:
            raise InputError(f"data.jitter={self.jitter!r}: must be a number in 0..1")
        if self.stream and self.name not in ("folder", "csv"):
            raise InputError(f"data.stream=true: data={self.name} is held in memory; allowed: data=folder, data=csv")
        if self.stream and self.size is None:
            raise InputError("data.stream=true: needs data.size=N, the side of the crops, such as 224")
        if self.jitter and not self.stream:
            raise InputError(f"data.jitter={self.jitter}: needs data.stream=true")
