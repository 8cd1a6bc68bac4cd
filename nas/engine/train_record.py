"""What a retraining leaves: each epoch a line, a row of metrics and events; at its end ``result.json`` and weights."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from nas.core.files import write_file
from nas.core.tracking import Tracker
from nas.engine.cost import Cost, cost
from nas.engine.report import RESULT
from nas.engine.train_state import TrainState
from nas.engine.trained import save_weights
from nas.graph.tuple_notation import format_tuple_notation

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class EpochFigures:
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


def epoch_line(figures: EpochFigures, epochs: int) -> str:
    """What an epoch came to."""
    parts = [f"epoch {figures.epoch + 1}/{epochs} done"]
    parts.append(f"train loss {figures.train_loss:.3f} acc {figures.train_accuracy:.1%}")
    if figures.test_accuracy is not None:
        parts.append(f"test loss {figures.test_loss:.3f} acc {figures.test_accuracy:.2%}")
    parts.append(f"lr {figures.lr:.4f} | {figures.images_per_second or 0:.0f} images/s")
    parts += [f"skipped steps: {figures.skipped}"] if figures.skipped else []
    return " | ".join(parts)


def record_epoch(tracker: Tracker, figures: EpochFigures) -> None:
    """Write down the epoch that has just ended."""
    curves = {name: value for name, value in asdict(figures).items() if name != "epoch" and value is not None}
    tracker.scalars(figures.epoch + 1, curves)
    tracker.row(asdict(figures))


def record_result(state: TrainState, folder: Path) -> Cost:
    """Write ``result.json`` and the weights of a finished retraining into the run's folder; gives the network's cost.

    ``test_accuracy`` is the last epoch's: the figure to report. ``best_test_accuracy`` was chosen on the test set,
    and is better than what new images would give.
    """
    blueprint = state.blueprint
    found = cost(state.judged, blueprint.image_shape)
    save_weights(folder / WEIGHTS, state.judged, blueprint)
    result = {
        "cell": blueprint.genotype.name,
        "genotype": format_tuple_notation(blueprint.genotype),
        "dataset": blueprint.dataset,
        "epochs": state.epoch,
        "test_accuracy": state.test_accuracy,
        "test_loss": state.test_loss,
        "best_test_accuracy": state.best_accuracy,
        "best_epoch": state.best_epoch,
        **asdict(found),
        "seconds": round(state.seconds, 1),
    }
    write_file(folder / RESULT, json.dumps(result, indent=1).encode())
    return found
