"""The result of a finished training: ``result.json`` and the weights."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.core.run_files import WEIGHTS
from nas.costs.count import Cost, cost
from nas.engine.run_result import FINISHED, write_result
from nas.graph.tuple_notation import format_tuple_notation
from nas.train.state import TrainState
from nas.train.trained_network import save_weights


def write_train_result(state: TrainState, folder: Path, seed: int) -> Cost:
    """Write ``result.json`` and the weights of a finished training into the run's folder; return the network's cost."""
    found = cost(state.eval_model, state.spec.image_shape)
    save_weights(folder / WEIGHTS, state.eval_model, state.spec)
    write_result(folder, FINISHED, train_origin(state, seed), {**train_figures(state), **asdict(found)})
    return found


def train_origin(state: TrainState, seed: int) -> dict[str, Any]:
    """Return what a training's result is the result of."""
    spec = state.spec
    cell = {"cell": spec.genotype.name, "genotype": format_tuple_notation(spec.genotype)}
    return {"kind": "retraining", **cell, "data": spec.dataset, "seed": seed}


def train_figures(state: TrainState) -> dict[str, Any]:
    """Return what has come out of a training so far.

    ``test_accuracy`` is the last epoch's: the figure to report. ``best_test_accuracy`` was chosen on the test set,
    and is better than what new images would give. Epochs count from 1.
    """
    measured = {"test_metric": state.test_metric, "best_test_metric": state.best_metric}
    return {
        "epochs": state.epoch,
        **({} if state.test_metric is None else measured),
        "test_accuracy": state.test_accuracy,
        **({} if state.test_accuracy is None else {"test_images": state.test_images}),
        "test_loss": state.test_loss,
        "best_test_accuracy": state.best_accuracy,
        "best_epoch": None if state.best_epoch is None else state.best_epoch + 1,
        "seconds": round(state.seconds, 1),
    }
