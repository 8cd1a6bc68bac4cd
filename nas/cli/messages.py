"""What a search or a retraining says at its end."""

import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from nas.cli.config import RunConfig
from nas.cli.resume_checks import settings_to_repeat
from nas.core.run_files import CHECKPOINT
from nas.core.shell_quoting import quote_value
from nas.costs.count import RETRAIN_CELLS, RETRAIN_CHANNELS
from nas.data.dataset import Dataset
from nas.data.settings import DataSettings
from nas.graph.tuple_notation import format_tuple_notation
from nas.runtime.progress import duration
from nas.search.result import SearchResult, write_search_result
from nas.train.result import write_train_result
from nas.train.state import TrainState


def report_search(result: SearchResult, dataset: Dataset, folder: Path) -> None:
    """Write the report of a finished search, and say what was found and where it is."""
    found, drawn = write_search_result(result, dataset, folder)
    print(format_tuple_notation(result.genotype))
    size = f"{found.params:,} parameters, {found.macs:,} multiply-adds"
    print(f"network of {RETRAIN_CELLS} cells with {RETRAIN_CHANNELS} channels for {dataset.name}: {size}")
    print(f"searched {duration(result.seconds)}; genotype and drawings: {folder}/genotype.yaml, normal.svg, reduce.svg")
    if drawn.note:
        print(drawn.note)


def report_retraining(state: TrainState, data: DataSettings, folder: Path) -> None:
    """Write the result of a finished retraining, and say what came out and how to evaluate it."""
    found = write_train_result(state, folder)
    assert state.test_accuracy is not None  # the last epoch is always evaluated, so these are known
    assert state.best_accuracy is not None
    assert state.best_epoch is not None
    last = f"test accuracy {state.test_accuracy:.2%} (error {1 - state.test_accuracy:.2%}) after epoch {state.epoch}"
    print(f"{state.spec.genotype.name or 'cell'} on {data.name}: {last}, the last")
    best = f"{state.best_accuracy:.2%} after epoch {state.best_epoch + 1}"
    print(f"best: {best}, chosen on the test set: no figure to report")
    size = f"{found.params:,} parameters (+ {found.auxiliary_params:,} in the auxiliary head)"
    print(f"{size}, {found.macs:,} multiply-adds; trained {duration(state.seconds)}")
    print(f"evaluate with: {again(f'eval={quote_value(folder / CHECKPOINT)}', *_data_keys(data))}")


def _data_keys(data: DataSettings) -> list[str]:
    """What the command line must say to evaluate on the same images."""
    root = [] if data.root is None else [f"data.root={quote_value(Path(data.root))}"]
    size = [] if data.size is None else [f"data.size={data.size}"]
    return [f"data={data.name}", *root, *size, *(["data.stream=true"] if data.stream else [])]


def print_resume_hint(result: SearchResult | TrainState, config: RunConfig, folder: Path, signal: str | None) -> None:
    """Say that a run stopped, by a signal or because its time was up, and how it goes on."""
    why = "in time" if signal is None else f"by {signal}"
    print(f"stopped {why} after {result.epoch} epochs and {result.step} steps, with a checkpoint")
    print(f"go on with: {resume_command(config, folder)}")


def resume_command(config: RunConfig, folder: Path) -> str:
    """The command line that takes up the run in ``folder``, with what a folder may not say alone."""
    return again(f"resume={quote_value(folder)}", *settings_to_repeat(asdict(config)))


def again(*overrides: str) -> str:
    """Return the command line of this program with other settings, quoted for a shell."""
    program = sys.argv[0]
    return shlex.join([*(["python"] if program.endswith(".py") else []), program, *overrides])
