"""Handwritten digits shipped with scikit-learn: real images without a download."""

import numpy as np
import torch

from nas.data.dataset import Dataset, ImageSet
from nas.data.pixels import channel_statistics, resize
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings
from nas.data.split import stratified_order

_TRAIN_IMAGES = 1437  # of 1,797: four fifths; the other 360 are the test set
_SPLIT_SEED = 0  # fixed: the test set is the same in every run


@register_dataset("digits")
def load_digits(settings: DataSettings) -> Dataset:
    """Load 1,797 digits of 8 x 8 pixels, gray in three equal channels, split by class into 1,437 and 360.

    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998
    (its test part, as shipped with scikit-learn). The values 0..16 are scaled to 0..255.
    """
    from sklearn import datasets  # takes a second to import

    bunch = datasets.load_digits()
    values = bunch.images.astype(np.int64)  # (N, 8, 8), 0..16
    gray = torch.from_numpy(((values * 255 + 8) // 16).astype(np.uint8))
    images = resize(gray[:, None].repeat(1, 3, 1, 1), settings.size)
    all_images = ImageSet(images, torch.from_numpy(bunch.target.astype(np.int64)))
    order = stratified_order(all_images.labels, _SPLIT_SEED)
    train, test = (all_images.subset(part.sort().values) for part in (order[:_TRAIN_IMAGES], order[_TRAIN_IMAGES:]))
    return Dataset("digits", train, test, tuple("0123456789"), *channel_statistics(train.images))
