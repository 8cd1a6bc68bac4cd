"""Accuracy and loss of a network on a set of images."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from nas.data.batches import Batches
from nas.engine.device import autocast_dtype
from nas.engine.running_metrics import RunningMetrics
from nas.runtime.deadline import Deadline, before_deadline

TOP = 5


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy, top-1 and top-5 accuracy (0..1), and by class: images, and those classified correctly.

    With fewer than five classes top-5 is 1.
    """

    loss: float
    top1: float
    top5: float
    images: tuple[int, ...]
    correct: tuple[int, ...]


def evaluate(
    model: nn.Module,
    batches: Batches,
    num_classes: int,
    *,
    precision: str = "fp32",
    channels_last: bool = False,
    deadline: Deadline | None = None,
) -> Evaluation:
    """Evaluate ``model`` on all batches; it is left in evaluation mode.

    The model returns logits (B, num_classes), or a pair that begins with them. Raises :class:`DeadlineReached`.
    """
    model.eval()
    dtype, device = autocast_dtype(precision), batches.images.device
    memory = torch.channels_last if channels_last else torch.contiguous_format
    metrics, near = RunningMetrics(device), torch.zeros((), dtype=torch.int64, device=device)
    images, correct = (torch.zeros(num_classes, dtype=torch.int64, device=device) for _ in range(2))
    with torch.no_grad():
        for inputs, labels in before_deadline(batches.epoch(0), len(batches), deadline):
            with torch.autocast(device.type, dtype, enabled=dtype is not None):
                outputs = model(inputs.contiguous(memory_format=memory))
            logits = (outputs[0] if isinstance(outputs, tuple) else outputs).float()
            metrics.add(F.cross_entropy(logits, labels), logits, labels)
            near += (logits.topk(min(TOP, num_classes)).indices == labels[:, None]).sum()
            ones = torch.ones_like(labels)
            images.index_add_(0, labels, ones)
            correct.index_add_(0, labels, (logits.argmax(1) == labels).to(ones.dtype))
    loss, top1 = metrics.read()
    return Evaluation(loss, top1, near.item() / len(batches.images), tuple(images.tolist()), tuple(correct.tolist()))
