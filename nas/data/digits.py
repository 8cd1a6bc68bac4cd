"""The handwritten digits that come with scikit-learn: real images without a download."""

import numpy as np
import torch

from nas.data.dataset import Dataset, ImageSet
from nas.data.pixels import channel_statistics, resize
from nas.data.registry import register_dataset
from nas.data.settings import DataSettings
from nas.data.split import stratified_order

TRAIN_IMAGES = 1437  # of 1,797: four fifths, the other 360 are the test set
SPLIT_SEED = 0  # fixed: the test set is the same in every run


@register_dataset("digits")
def load_digits(settings: DataSettings) -> Dataset:
    """1,797 digits of 8 x 8 pixels, grey in three equal channels, split by class into 1,437 and 360.

    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998
    (its test part, as scikit-learn carries it). Its values 0..16 become 0..255.
    """
    from sklearn import datasets  # takes a second to import: only who asks for digits waits

    bunch = datasets.load_digits()
    values = bunch.images.astype(np.int64)  # (N, 8, 8), 0..16
    grey = torch.from_numpy(((values * 255 + 8) // 16).astype(np.uint8))
    images = resize(grey[:, None].repeat(1, 3, 1, 1), settings.size)
    everything = ImageSet(images, torch.from_numpy(bunch.target.astype(np.int64)))
    order = stratified_order(everything.labels, SPLIT_SEED)
    train, test = (everything.subset(part.sort().values) for part in (order[:TRAIN_IMAGES], order[TRAIN_IMAGES:]))
    return Dataset("digits", train, test, tuple("0123456789"), *channel_statistics(train.images))
