"""Messages of the commands at the end of a search or a retraining."""

from dataclasses import asdict
from pathlib import Path

import torch

from nas.cli.config import RunConfig, SearchConfig
from nas.cli.program import program_words
from nas.cli.resume_checks import settings_to_repeat
from nas.cli.setup import describe_device
from nas.core.formatting import format_plural
from nas.core.run_files import GENOTYPE
from nas.core.shell_quoting import quote_command, quote_value
from nas.core.terminal import print_lines
from nas.costs.count import describe_network
from nas.data.settings import DataSettings
from nas.graph.cell import cell_title
from nas.graph.genotype import cell_lines
from nas.graph.tuple_notation import format_tuple_notation
from nas.runtime.progress import duration
from nas.search.result import SearchResult, write_search_result
from nas.train.result import write_train_result
from nas.train.state import TrainState


def print_start(what: str, data: str, seed: int, device: torch.device, folder: Path) -> None:
    """Print what starts, with what it computes, and where its files go."""
    print_lines(f"{what} on {data} with seed {seed}; run folder: {folder}", describe_device(device), flush=True)


def method_words(config: SearchConfig) -> str:
    """Return the name of the method, for a message, if it is not DARTS."""
    return "" if config.method == "darts" else f" by {config.method}"


def report_search(result: SearchResult, config: SearchConfig, folder: Path) -> None:
    """Write the report of a finished search; print the cells, the network's size, the files and what to do next."""
    cost, drawn = write_search_result(result, folder)
    for kind in result.genotype.kinds:
        print_lines(f"{cell_title(kind)}:", *cell_lines(result.genotype, kind))
    print_lines(format_tuple_notation(result.genotype))
    size = f"{cost.params:,} parameters, {cost.macs:,} multiply-adds"
    print_lines(f"{describe_network(result.genotype)} for {config.data.name}: {size}")
    print_lines(result.settledness.describe(config.alphas.lr))
    files = ", ".join([f"{folder}/genotype.yaml", *(f"{kind}.svg" for kind in result.genotype.kinds)])
    print_lines(f"searched for {duration(result.seconds)}; genotype and drawings: {files}")
    if drawn.note:
        print_lines(drawn.note)
    print_lines("next:", *(f"  {command}" for command in _next_commands(config, folder)))


def _next_commands(config: SearchConfig, folder: Path) -> list[str]:
    """Return the commands that retrain, draw and plot what a search has found."""
    cell = folder / GENOTYPE
    ops = [] if config.ops is None else [f"ops={quote_value(config.ops)}"]
    retrain = [
        *program_words("retrain"),
        f"cell={quote_value(cell)}",
        *data_overrides(config.data),
        *_criteria(config),
        *ops,
    ]
    colors = [] if config.ops is None else ["--ops", config.ops]
    draw = [*program_words("draw"), str(cell), "-o", str(folder / "cells.svg"), *colors]
    return [quote_command(retrain), quote_command(draw), quote_command(["tensorboard", "--logdir", str(folder)])]


def report_retraining(state: TrainState, data: DataSettings, seed: int, folder: Path) -> None:
    """Write the result of a finished retraining; print its accuracy, its size and the command to evaluate it."""
    cost = write_train_result(state, folder, seed)
    name = f"{state.spec.genotype.name or 'cell'} on {data.name}"
    held_out = data.holdout is not None
    accuracy, images = ("held-out accuracy", "held-out images") if held_out else ("test accuracy", "test set")
    if state.test_accuracy is None and state.test_metric is not None and state.best_epoch is not None:
        shown = f"test loss {state.test_loss:.4g}, metric {state.test_metric:.4g} after epoch {state.epoch} (the last)"
        print_lines(f"{name}: {shown}")
        print_lines(f"best: {state.best_metric:.4g} after epoch {state.best_epoch + 1}, chosen on the {images}")
    elif state.test_accuracy is None or state.best_accuracy is None or state.best_epoch is None:
        print_lines(f"{name}: not evaluated, there are no test images")
    else:
        last = f"{state.test_accuracy:.2%} (error {1 - state.test_accuracy:.2%}) after epoch {state.epoch}"
        print_lines(f"{name}: {accuracy} {last} (the last)")
        best = f"{state.best_accuracy:.2%} after epoch {state.best_epoch + 1}"
        print_lines(f"best: {best}, chosen on the {images}, so not a figure to report")
    size = f"{cost.params:,} parameters (+ {cost.auxiliary_params:,} in the auxiliary head)"
    print_lines(f"{size}, {cost.macs:,} multiply-adds; trained for {duration(state.seconds)}")
    ops = [] if state.spec.ops is None else [f"ops={quote_value(Path(state.spec.ops))}"]
    evaluate = [*program_words("eval"), str(folder), *data_overrides(data), *ops]
    print_lines(f"evaluate with: {quote_command(evaluate)}")


def _criteria(config: SearchConfig) -> list[str]:
    """Return the settings (key=value) of loss, metric and sampling that are not the defaults."""
    given = {
        "loss": config.loss,
        "metric": config.metric,
        "class_weights": config.class_weights,
        "sampling": config.sampling,
    }
    return [f"{key}={value}" for key, value in given.items() if value not in (None, "cross_entropy", "uniform")]


def data_overrides(data: DataSettings) -> list[str]:
    """Return the settings (key=value) that select the same images."""
    root = [] if data.root is None else [f"data.root={quote_value(Path(data.root))}"]
    size = [] if data.size is None else [f"data.size={data.size}"]
    given = {"dataset": data.dataset, "valid": data.valid}
    named = [f"data.{key}={quote_value(value)}" for key, value in given.items() if value is not None]
    named += [] if data.test_fraction is None else [f"data.test_fraction={data.test_fraction}"]
    named += [] if data.holdout is None else [f"data.holdout={data.holdout}"]
    levels = [] if data.range is None else [f"data.range=[{data.range[0]},{data.range[1]}]"]
    stream = ["data.stream=true"] if data.stream else []
    return [f"data={data.name}", *root, *size, *named, *levels, *stream]


def print_resume_hint(result: SearchResult | TrainState, config: RunConfig, folder: Path, signal: str | None) -> None:
    """Print why a run stopped, at which step, and the command to resume it."""
    epochs, steps = format_plural(result.epoch, "epoch"), format_plural(result.step, "step")
    reason = "in time" if signal is None else f"by {signal}"
    print_lines(f"stopped {reason} after {epochs} and {steps}, with a checkpoint")
    print_lines(f"resume with: {resume_command(config, folder)}")


def resume_command(config: RunConfig, folder: Path) -> str:
    """Return the command that resumes the run in ``folder``, with the settings that must be repeated."""
    program = program_words("search" if isinstance(config, SearchConfig) else "retrain")
    return quote_command([*program, f"resume={quote_value(folder)}", *settings_to_repeat(asdict(config))])
