"""The figures of a finished epoch: a row of the metrics and a line on the console."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class EpochNotes(NamedTuple):
    """What a task adds to the console after an epoch: parts of the epoch's line, and further lines."""

    parts: Sequence[str] = ()
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class EpochSummary:
    """Loss and accuracy (0..1) over an epoch's training steps, and the task's own figures of its evaluation.

    With targets the accuracy is None. ``epoch`` counts from 1. ``lr`` is that of the last step; ``images_per_second``
    is None if this session took none of the epoch's steps; ``seconds`` count from the run's start over all sessions;
    ``skipped`` steps were not finite.
    """

    epoch: int
    train_loss: float
    train_accuracy: float | None
    figures: Mapping[str, float | None]
    lr: float
    images_per_second: float | None
    seconds: float
    skipped: int = 0

    def row(self) -> dict[str, Any]:
        """Return the epoch's row of the metrics."""
        return {
            "epoch": self.epoch,
            "train_loss": self.train_loss,
            "train_accuracy": self.train_accuracy,
            **self.figures,
            "lr": self.lr,
            "images_per_second": self.images_per_second,
            "seconds": self.seconds,
            "skipped": self.skipped,
        }

    def curves(self) -> dict[str, float]:
        """Return the row's known figures, to be plotted over the epochs."""
        return {name: value for name, value in self.row().items() if name != "epoch" and value is not None}

    def line(self, epochs: int, notes: Sequence[str] = ()) -> str:
        """Return the line that the console shows after the epoch, with the task's own parts at its end."""
        parts = [f"epoch {self.epoch}/{epochs} done"]
        parts.append(f"train loss {self.train_loss:.3f}")
        parts[-1] += "" if self.train_accuracy is None else f" acc {self.train_accuracy:.1%}"
        for part in ("valid", "test"):
            if (loss := self.figures.get(f"{part}_loss")) is not None:
                accuracy = self.figures.get(f"{part}_accuracy")
                parts.append(f"{part} loss {loss:.3f}" + ("" if accuracy is None else f" acc {accuracy:.2%}"))
            if (metric := self.figures.get(f"{part}_metric")) is not None:
                parts[-1] += f" metric {metric:.4g}"
        parts.append(f"lr {self.lr:.4f}")
        parts.append(f"{self.images_per_second or 0:.0f} images/s")
        parts += [f"skipped steps: {self.skipped}"] if self.skipped else []
        return " | ".join([*parts, *notes])
