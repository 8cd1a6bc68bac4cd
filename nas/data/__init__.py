"""Data: images on the device or streamed to it, batched augmentation, and the search's split."""

from nas.data import cifar, digits, folder  # noqa: F401 - each registers its datasets
from nas.data.augment import AugmentSettings
from nas.data.batches import Batches
from nas.data.dataset import Dataset, ImageSet
from nas.data.registry import DATASETS, load_dataset, register_dataset
from nas.data.settings import DataSettings
from nas.data.split import search_split
from nas.data.stream import StreamedSet

__all__ = [
    "DATASETS",
    "AugmentSettings",
    "Batches",
    "DataSettings",
    "Dataset",
    "ImageSet",
    "StreamedSet",
    "load_dataset",
    "register_dataset",
    "search_split",
]
