"""The result of a finished training: ``result.json`` and the weights."""

import json
from dataclasses import asdict
from pathlib import Path

from nas.core.run_files import RESULT, WEIGHTS
from nas.costs.count import Cost, cost
from nas.graph.tuple_notation import format_tuple_notation
from nas.runtime.run_format import RUN_FORMAT
from nas.storage.atomic_files import write_file
from nas.train.state import TrainState
from nas.train.trained_network import save_weights


def write_train_result(state: TrainState, folder: Path) -> Cost:
    """Write ``result.json`` and the weights of a finished training into the run's folder; return the network's cost.

    ``test_accuracy`` is the last epoch's: the figure to report. ``best_test_accuracy`` was chosen on the test set,
    and is better than what new images would give. Epochs count from 1.
    """
    spec = state.spec
    found = cost(state.eval_model, spec.image_shape)
    save_weights(folder / WEIGHTS, state.eval_model, spec)
    result = {
        "format": RUN_FORMAT,
        "cell": spec.genotype.name,
        "genotype": format_tuple_notation(spec.genotype),
        "dataset": spec.dataset,
        "epochs": state.epoch,
        "test_accuracy": state.test_accuracy,
        "test_loss": state.test_loss,
        "best_test_accuracy": state.best_accuracy,
        "best_epoch": None if state.best_epoch is None else state.best_epoch + 1,
        **asdict(found),
        "seconds": round(state.seconds, 1),
    }
    write_file(folder / RESULT, json.dumps(result, indent=1).encode())
    return found
