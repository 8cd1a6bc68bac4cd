"""Losses and metrics by name, for classes, several classes at once, and regressions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.errors import InputError
from nas.data.dataset import Dataset
from nas.data.halves import are_marks, require_two_classes
from nas.data.loaders import LoaderPair
from nas.engine.user_functions import Loss, Metric

CLASSES, MARKS, NUMBERS = "one class", "several classes at once", "numbers"


@dataclass(frozen=True)
class NamedLoss:
    """A loss with the kind of its labels and the metric that is recorded with it unless another is asked for."""

    compute: Callable[..., Tensor]
    labels: str
    metric: str | None


@dataclass(frozen=True)
class NamedMetric:
    """A metric with the kinds of its labels; ``ascending`` if more is better."""

    compute: Metric
    labels: str
    ascending: bool


def mean_average_precision(logits: Tensor, labels: Tensor) -> float:
    """Return the mean over the classes (columns) of the average precision: 0..1; logits and labels 0 or 1 (N, K).

    The average precision of a class is the mean, over its images, of the precision among the images that are ranked as
    high as it or higher. Equal logits share a rank. Classes without images are left out.
    """
    precisions = [_average_precision(logits[:, k], labels[:, k] > 0.5) for k in range(labels.shape[1])]
    known = [value for value in precisions if value is not None]
    return sum(known) / len(known) if known else 0.0


def _average_precision(scores: Tensor, marked: Tensor) -> float | None:
    number = int(marked.sum())
    if not number:
        return None
    order = scores.double().argsort(descending=True, stable=True)
    ranked, hits = scores[order], marked[order].double().cumsum(0)
    last = torch.searchsorted(-ranked.contiguous(), -ranked.contiguous(), right=True) - 1  # of equal scores
    precision = hits[last] / (last + 1)
    return float(precision[marked[order]].sum()) / number


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())


def _balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the mean over the classes that occur of the part of their images that are classified correctly."""
    correct = (logits.argmax(1) == labels).double()
    return float(torch.stack([correct[labels == label].mean() for label in labels.unique()]).mean())  # type: ignore[no-untyped-call]


def _r2(predictions: Tensor, targets: Tensor) -> float:
    """Return 1 minus the squared errors over those of the mean target, summed over all targets."""
    targets = targets.double()
    errors = (predictions.double() - targets).square().sum()
    return float(1 - errors / (targets - targets.mean(0)).square().sum().clamp_min(torch.finfo(torch.float64).tiny))


NAMED_LOSSES: dict[str, NamedLoss] = {
    "cross_entropy": NamedLoss(F.cross_entropy, CLASSES, None),
    "bce": NamedLoss(F.binary_cross_entropy_with_logits, MARKS, "map"),
    "mse": NamedLoss(F.mse_loss, NUMBERS, "rmse"),
    "l1": NamedLoss(F.l1_loss, NUMBERS, "mae"),
    "smooth_l1": NamedLoss(F.smooth_l1_loss, NUMBERS, "mae"),
}
NAMED_METRICS: dict[str, NamedMetric] = {
    "accuracy": NamedMetric(_accuracy, CLASSES, True),
    "balanced_accuracy": NamedMetric(_balanced_accuracy, CLASSES, True),
    "map": NamedMetric(mean_average_precision, MARKS, True),
    "mae": NamedMetric(lambda values, targets: float((values.double() - targets).abs().mean()), NUMBERS, False),
    "rmse": NamedMetric(
        lambda values, targets: float((values.double() - targets).square().mean().sqrt()), NUMBERS, False
    ),
    "r2": NamedMetric(_r2, NUMBERS, True),
}


def metric_name(loss: str, metric: str | None) -> str | None:
    """Return the metric's name, by default that of the loss."""
    return NAMED_LOSSES[loss].metric if metric is None else metric


def check_names(loss: str, metric: str | None, class_weights: str | None, sampling: str) -> None:
    """Raise :class:`InputError` for an unknown name, and for names that contradict each other."""
    if loss not in NAMED_LOSSES:
        raise InputError(f"loss={loss!r}: must be {', '.join(NAMED_LOSSES)}")
    if metric is not None and metric not in NAMED_METRICS:
        raise InputError(f"metric={metric!r}: must be {', '.join(NAMED_METRICS)}, or null")
    kind = NAMED_LOSSES[loss].labels
    if metric is not None and NAMED_METRICS[metric].labels != kind:
        allowed = ", ".join(name for name, found in NAMED_METRICS.items() if found.labels == kind)
        raise InputError(
            f"metric={metric}: is for {NAMED_METRICS[metric].labels}, loss={loss} for {kind}; allowed: {allowed}"
        )
    if class_weights not in (None, "balanced"):
        raise InputError(f"class_weights={class_weights!r}: must be balanced, or null")
    if class_weights is not None and kind == NUMBERS:
        raise InputError(f"class_weights={class_weights}: there are no classes with loss={loss}; leave it out")
    if sampling not in ("uniform", "balanced"):
        raise InputError(f"sampling={sampling!r}: must be uniform or balanced")
    if sampling == "balanced" and kind != CLASSES:
        raise InputError(f"sampling=balanced: an image must have one class; not with loss={loss}")


def check_data(dataset: Dataset | LoaderPair, loss: str | None) -> None:
    """Raise :class:`InputError` if nothing can be learnt from ``dataset``, or if it does not fit the loss of a name."""
    require_two_classes(dataset, f"data={dataset.name}")
    if loss is not None:
        check_labels(loss, dataset)


def check_labels(loss: str, dataset: Dataset | LoaderPair) -> None:
    """Raise :class:`InputError` if the labels of ``dataset`` are not what the loss is for."""
    where, kind = f"data={dataset.name}", NAMED_LOSSES[loss].labels
    parts = dataset.parts.values() if isinstance(dataset, Dataset) else ()
    targets = isinstance(dataset, Dataset) and dataset.has_targets
    numbers = ", ".join(name for name, found in NAMED_LOSSES.items() if found.labels == NUMBERS)
    if kind == CLASSES and targets:
        several = f"loss=bce for several classes at once, {numbers} for a regression"
        raise InputError(
            f"loss={loss}: {where} has targets (N, {dataset.num_classes}), not one class; allowed: {several}"
        )
    if kind != CLASSES and not targets:
        raise InputError(f"loss={loss}: {where} has one class for an image, not targets; allowed: loss=cross_entropy")
    if kind == MARKS and not all(are_marks(images.labels) for images in parts):
        raise InputError(f"loss=bce: {where} has targets other than 0 and 1; allowed: {numbers}")


def named_metric(loss: str, metric: str | None) -> Metric | None:
    """Return the metric by name, by default that of the loss; None if that has none."""
    name = metric_name(loss, metric)
    return None if name is None else NAMED_METRICS[name].compute


def training_loss_of(
    loss: str, class_weights: str | None, dataset: Dataset | LoaderPair, device: torch.device
) -> Loss | None:
    """Return the loss by name with the weights of the classes on ``device``; None for the plain cross-entropy."""
    if class_weights is None:
        return None if loss == "cross_entropy" else NAMED_LOSSES[loss].compute
    if not isinstance(dataset, Dataset):
        raise InputError("class_weights=balanced: not for DataLoaders, whose labels are not counted")
    labels = dataset.train.labels
    weights = positive_weights(labels) if loss == "bce" else balanced_weights(labels, dataset.num_classes)
    return partial(NAMED_LOSSES[loss].compute, **{"pos_weight" if loss == "bce" else "weight": weights.to(device)})


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Return a weight for each class, float32 (classes,): N / (classes n) for n of N labels; 0 for a class without."""
    counts = labels.bincount(minlength=classes).float()
    return torch.where(counts > 0, len(labels) / (classes * counts.clamp_min(1)), torch.zeros_like(counts))


def positive_weights(labels: Tensor) -> Tensor:
    """Return for each of K classes, float32 (K,), how many images lack it for one that has it; 1 if none has it."""
    having = labels.sum(0)
    return torch.where(having > 0, (len(labels) - having) / having.clamp_min(1), torch.ones_like(having)).clamp_min(
        1e-6
    )
