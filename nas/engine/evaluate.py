"""Accuracy and loss of a network on a set of images."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.errors import DivergedError
from nas.data.batches import BatchSource
from nas.engine.device import autocast_dtype
from nas.engine.nonfinite import NotFiniteError
from nas.engine.running_metrics import RunningMetrics
from nas.engine.user_functions import Loss, Metric, measure
from nas.runtime.deadline import Deadline, before_deadline

TOP = 5


@dataclass(frozen=True)
class Evaluation:
    """Mean loss, top-1 and top-5 accuracy (0..1), and by class: images, and those classified correctly.

    The loss is the cross-entropy unless another was given. With fewer than five classes top-5 is 1. ``metric`` is the
    value of the user's own metric, None without one. With targets (N, K) there is no accuracy: top-1 and top-5 are
    None, the counts are empty.
    """

    loss: float
    top1: float | None
    top5: float | None
    images: tuple[int, ...]
    correct: tuple[int, ...]
    metric: float | None = None


def evaluate_batches(
    model: nn.Module,
    batches: BatchSource,
    num_classes: int,
    *,
    precision: str = "fp32",
    channels_last: bool = False,
    deadline: Deadline | None = None,
    loss: Loss = F.cross_entropy,
    metric: Metric | None = None,
) -> Evaluation:
    """Evaluate ``model`` on all batches; it is left in evaluation mode.

    The model returns logits (B, num_classes), or a pair that begins with them. ``metric`` sees the logits of all images
    at once. Raises :class:`DeadlineReached`, and :class:`NotFiniteError` for logits or a mean loss that are not finite:
    their accuracy says nothing.
    """
    model.eval()
    dtype, device = autocast_dtype(precision), batches.device
    memory = torch.channels_last if channels_last else torch.contiguous_format
    seen: list[tuple[Tensor, Tensor]] = []
    finite = torch.ones((), dtype=torch.bool, device=device)
    metrics, near = RunningMetrics(device), torch.zeros((), dtype=torch.int64, device=device)
    images, correct = (torch.zeros(num_classes, dtype=torch.int64, device=device) for _ in range(2))
    with torch.no_grad():
        for inputs, labels in before_deadline(batches.epoch(0), len(batches), deadline):
            with torch.autocast(device.type, dtype, enabled=dtype is not None):
                outputs = model(inputs.contiguous(memory_format=memory))
            logits = (outputs[0] if isinstance(outputs, tuple) else outputs).float()
            finite &= logits.isfinite().all()
            metrics.add(loss(logits, labels), logits, labels)
            if metric is not None:
                seen.append((logits.cpu(), labels.cpu()))
            if not labels.is_floating_point():
                near += (logits.topk(min(TOP, num_classes)).indices == labels[:, None]).sum()
                count_classes(logits, labels, images, correct)
    mean_loss, top1 = _finite_metrics(metrics, finite)
    value = None if metric is None else measure(metric, *(torch.cat(parts) for parts in zip(*seen, strict=True)))
    return _evaluation(mean_loss, top1, near, images, correct, value)


def _finite_metrics(metrics: RunningMetrics, finite: Tensor) -> tuple[float, float | None]:
    mean_loss, top1 = metrics.read()
    if not finite.item() or not math.isfinite(mean_loss):
        raise NotFiniteError(f"the evaluation (mean loss {mean_loss})")
    return mean_loss, top1


@contextmanager
def finite_or_diverged(where: object) -> Iterator[None]:
    """Turn a :class:`NotFiniteError` of an evaluation outside of a run into a :class:`DivergedError`."""
    try:
        yield
    except NotFiniteError as error:
        raise DivergedError(f"{where}: {error} is not finite; these weights have no accuracy") from error


def _evaluation(
    loss: float, top1: float | None, near: Tensor, images: Tensor, correct: Tensor, metric: float | None
) -> Evaluation:
    if top1 is None:
        return Evaluation(loss, None, None, (), (), metric)
    counts = tuple(images.tolist()), tuple(correct.tolist())
    return Evaluation(loss, top1, near.item() / sum(counts[0]), *counts, metric)


def count_classes(logits: Tensor, labels: Tensor, images: Tensor, correct: Tensor) -> None:
    """Add to ``images`` and ``correct``, int64 (classes,), those of a batch by class."""
    images.index_add_(0, labels, torch.ones_like(labels))
    correct.index_add_(0, labels, (logits.argmax(1) == labels).to(labels.dtype))
