"""Running loss and accuracy that stay on the device, so that a step never waits for them."""

import torch
from torch import Tensor

_NO_ACCURACY = -1.0  # in place of the correct predictions of an image with targets


class RunningMetrics:
    """Sums of loss and correct predictions over the images of an epoch."""

    def __init__(self, device: torch.device, sums: list[float] | None = None) -> None:
        self.sums = torch.tensor(sums or [0.0, 0.0, 0.0], dtype=torch.float64, device=device)

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: its mean loss, logits (B, classes), labels (B,); with targets (B, K) the loss alone."""
        count = len(labels)
        if labels.is_floating_point():
            correct = torch.full_like(loss, _NO_ACCURACY * count)
        else:
            correct = (logits.argmax(1) == labels).sum()
        loss = loss.double()
        self.sums += torch.stack([loss * count, correct.double(), torch.full_like(loss, count)])

    def read(self) -> tuple[float, float | None]:
        """Return the mean loss and accuracy (0..1, None with targets) so far; this waits for the device."""
        loss, correct, count = self.sums.tolist()
        if correct < 0:
            return loss / count, None
        return (loss / count, correct / count) if count else (float("nan"), float("nan"))
