"""Datasets held on the device or streamed from disk, batched augmentation, and the search split."""

from nas.data import arrays, cifar, digits, folder, table, torchvision_sets  # noqa: F401 - importing them registers their datasets
from nas.data.augment import AugmentSettings
from nas.data.batches import Batches
from nas.data.dataset import Dataset, ImageSet
from nas.data.fingerprint import dataset_fingerprint
from nas.data.intake import as_dataset, load_dataset
from nas.data.registry import DATASETS, list_datasets, register_dataset
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
    "as_dataset",
    "dataset_fingerprint",
    "list_datasets",
    "load_dataset",
    "register_dataset",
    "search_split",
]
