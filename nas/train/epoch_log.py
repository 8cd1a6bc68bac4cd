"""What a retraining leaves: each epoch a line, a row of metrics and events; at its end ``result.json`` and weights."""

from dataclasses import asdict, dataclass

from nas.runtime.metrics_log import MetricsLog


@dataclass(frozen=True)
class TrainEpoch:
    """An epoch's losses and accuracies (0..1), rates in its last step, speed over its steps, seconds since the start.

    The training loss is the one that is minimised, auxiliary head and label smoothing included. Test figures are None
    in an epoch that is not evaluated.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float | None
    test_accuracy: float | None
    lr: float
    drop_path: float
    images_per_second: float | None
    seconds: float
    skipped: int = 0  # steps


def train_epoch_line(figures: TrainEpoch, epochs: int) -> str:
    """What an epoch came to."""
    parts = [f"epoch {figures.epoch + 1}/{epochs} done"]
    parts.append(f"train loss {figures.train_loss:.3f} acc {figures.train_accuracy:.1%}")
    if figures.test_accuracy is not None:
        parts.append(f"test loss {figures.test_loss:.3f} acc {figures.test_accuracy:.2%}")
    parts.append(f"lr {figures.lr:.4f} | {figures.images_per_second or 0:.0f} images/s")
    parts += [f"skipped steps: {figures.skipped}"] if figures.skipped else []
    return " | ".join(parts)


def log_train_epoch(tracker: MetricsLog, figures: TrainEpoch) -> None:
    """Write down the epoch that has just ended."""
    curves = {name: value for name, value in asdict(figures).items() if name != "epoch" and value is not None}
    tracker.scalars(figures.epoch + 1, curves)
    tracker.row(asdict(figures))
