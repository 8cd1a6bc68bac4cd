"""The images of a search for the weights and those for the alphas, and classes that have none."""

from collections.abc import Sequence

from torch import Tensor

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.terminal import print_warning
from nas.data.dataset import Dataset, ImageSet
from nas.data.loaders import LoaderPair
from nas.data.split import search_split, stratified_order
from nas.data.stream import StreamedSet

_SHOWN = 5  # names of classes in a message

Images = ImageSet | StreamedSet


def search_halves(dataset: Dataset, seed: int, fraction: float, verbose: bool = False) -> tuple[Images, Images]:
    """Return the training images for the weights and those for the alphas.

    The alphas get ``dataset.valid`` if there is one, the weights then all training images. Otherwise both share these.
    The split is random, as in DARTS (:func:`nas.data.split.search_split`), unless that leaves a class without images in
    a half: then it is stratified. With ``verbose`` one line names the classes that still have none. Raises
    :class:`InputError` if a half is empty.
    """
    if dataset.valid is not None:
        return dataset.train, dataset.valid
    weights, alphas = (dataset.train.subset(part) for part in half_indices(dataset.train.labels, seed, fraction))
    if verbose:
        for images, part in ((weights, "the weights"), (alphas, "the alphas")):
            warn_missing_classes(images.labels, dataset.classes, f"the half for {part}")
    return weights, alphas


def half_indices(labels: Tensor, seed: int, fraction: float) -> tuple[Tensor, Tensor]:
    """Return the indices, int64, of the images for the weights and for the alphas; see :func:`search_halves`."""
    parts = search_split(len(labels), seed, fraction)
    if not is_stratified(labels, seed, fraction):
        return parts
    order = stratified_order(labels.cpu(), seed)
    return order[: len(parts[0])], order[len(parts[0]) :]


def is_stratified(labels: Tensor, seed: int, fraction: float) -> bool:
    """Return whether the random split would leave a class without images in a half; False for targets (N, K)."""
    if labels.is_floating_point():
        return False
    known = len(labels.bincount().nonzero())
    return any(len(labels[part].bincount().nonzero()) < known for part in search_split(len(labels), seed, fraction))


def warn_missing_classes(labels: Tensor, classes: Sequence[str], where: str) -> None:
    """Print one line with the classes that none of ``labels`` belongs to, int64 (N,) or 0 and 1 (N, K)."""
    if not labels.is_floating_point():
        counts = labels.bincount(minlength=len(classes)).tolist()
    elif are_marks(labels):
        counts = labels.sum(0).tolist()
    else:
        return
    missing = [name for name, count in zip(classes, counts, strict=True) if not count]
    if missing:
        names = ", ".join(map(format_value, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
        print_warning(f"{where} has no image of {len(missing)} of {len(classes)} classes: {names}")


def split_fingerprint(dataset: Dataset | LoaderPair, seed: int, fraction: float) -> dict[str, str]:
    """Return the part of a search's fingerprint that says how its images are split, empty if at random."""
    if not isinstance(dataset, Dataset) or dataset.valid is not None:
        return {}
    return {"data.split": "stratified"} if is_stratified(dataset.train.labels, seed, fraction) else {}


def are_marks(labels: Tensor) -> bool:
    """Return whether targets (N, K) are 0 or 1 each: several classes at once."""
    return bool(((labels == 0) | (labels == 1)).all())


def require_two_classes(dataset: Dataset | LoaderPair, where: str) -> None:
    """Raise :class:`InputError` if all training images are of one class: there is nothing to learn."""
    if isinstance(dataset, Dataset):
        labels = dataset.train.labels
        if len(labels) < 2:  # too few images is said elsewhere
            return
        if dataset.has_targets:
            if bool((labels == labels[0]).all()):
                raise InputError(f"{where}: all {len(labels)} images have the same targets; allowed: different ones")
            return
        found = labels.bincount().nonzero().flatten().tolist()
        if len(found) > 1:
            return
        name, number = format_value(dataset.classes[int(found[0])]), f"all {len(labels)} images are"
    elif dataset.num_classes > 1:
        return
    else:
        name, number = format_value(dataset.classes[0]), "all images are"
    raise InputError(f"{where}: {number} of one class, {name}; allowed: images of two classes or more")
