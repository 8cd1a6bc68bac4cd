"""The runs in a folder, one line each: what was run, how it ended, and what came out."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_count, format_value
from nas.core.registry import nearest
from nas.core.run_files import CONFIG, ENVIRONMENT, METRICS, RESULT, SETTINGS
from nas.engine.run_result import FINISHED
from nas.reports.markdown import DASH
from nas.reports.run_folder import read_config, read_result
from nas.runtime.lock import holder_runs
from nas.runtime.metrics_log import read_metrics
from nas.storage.json_file import read_json

RUNNING, INTERRUPTED, DAMAGED = "running", "interrupted", "damaged"
_MARKS = (CONFIG, SETTINGS, RESULT, METRICS, ENVIRONMENT)
_MAX_RUNS, _MAX_DEPTH = 10_000, 8


@dataclass(frozen=True)
class RunSummary:
    """A run, as a line of a table; what is not known is None.

    ``state``: finished, stopped (with a checkpoint), diverged, running, interrupted (killed, or failed) or damaged.
    ``accuracy`` (0..1) is that on the test images after the last epoch, of a search that on the alphas' images. Of a
    search, ``params`` and ``macs`` are those of the network to retrain. ``problem`` says why it is damaged or diverged.
    """

    run: str
    state: str
    kind: str | None = None
    space: str | None = None
    method: str | None = None
    cell: str | None = None
    data: str | None = None
    seed: int | None = None
    epochs: int | None = None
    of_epochs: int | None = None
    accuracy: float | None = None
    params: int | None = None
    macs: int | None = None
    minutes: float | None = None
    settled: bool | None = None
    problem: str = ""


SORT_KEYS = tuple(field.name for field in fields(RunSummary) if field.name != "problem")


def list_runs(folder: str | Path = "runs", sort: str = "run") -> list[RunSummary]:
    """Return the runs in ``folder`` and its subfolders, also running and damaged ones.

    They are sorted by a field of :class:`RunSummary`: accuracy from the highest, all others from the lowest; runs
    without it come last. Raises :class:`InputError` for a missing folder and another key.
    """
    if sort not in SORT_KEYS:
        raise InputError(f"sort={format_value(sort)}: {nearest(sort, SORT_KEYS)}")
    top = Path(folder)
    if not top.is_dir():
        raise InputError(f"{format_value(top)}: no such folder")
    runs = [summarize_run(path, top) for path in _run_folders(top, 0)][:_MAX_RUNS]
    runs.sort(key=lambda run: run.run)
    known = [run for run in runs if getattr(run, sort) is not None]
    known.sort(key=lambda run: getattr(run, sort), reverse=sort == "accuracy")
    return known + [run for run in runs if getattr(run, sort) is None]


def summarize_run(folder: Path, top: Path | None = None) -> RunSummary:
    """Return the summary of the run in ``folder``, named by its path below ``top``."""
    name = str(folder) if top is None or folder == top else str(folder.relative_to(top))
    try:
        return RunSummary(name, **_read(folder))
    except InputError as error:
        return RunSummary(name, DAMAGED, problem=str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return RunSummary(name, DAMAGED, problem=f"{folder}: cannot be read ({' '.join(str(error).split())[:100]})")


def runs_table(runs: Sequence[RunSummary]) -> list[str]:
    """Return the lines of a table for the console: name, state, epochs, accuracy, size, minutes; problems below it."""
    rows = [["run", "state", "epochs", "accuracy", "params", "MACs", "minutes"], *map(_row, runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(word.ljust(width) if k < 2 else word.rjust(width) for k, (word, width) in enumerate(pairs)).rstrip()
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return lines + [f"{run.run}: {run.problem}" for run in runs if run.problem]


def runs_csv(runs: Sequence[RunSummary]) -> str:
    """Return all fields of the runs as CSV, with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(RunSummary)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, runs))
    return text.getvalue()


def _row(run: RunSummary) -> list[str]:
    total = "" if run.of_epochs is None or run.of_epochs == run.epochs else f"/{run.of_epochs}"
    state = f"{run.state}, not settled" if run.state == FINISHED and run.settled is False else run.state
    return [
        run.run,
        state,
        DASH if run.epochs is None else f"{run.epochs}{total}",
        DASH if run.accuracy is None else f"{run.accuracy:.2%}",
        DASH if run.params is None else format_count(run.params),
        DASH if run.macs is None else format_count(run.macs),
        DASH if run.minutes is None else f"{run.minutes:.1f}",
    ]


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the folders below ``folder`` that hold a run; links are not followed, and runs hold no runs."""
    if any((folder / name).is_file() for name in _MARKS):
        yield folder
    elif depth < _MAX_DEPTH:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
                yield from _run_folders(path, depth + 1)


def _read(folder: Path) -> dict[str, Any]:
    result = read_result(folder) if (folder / RESULT).is_file() else {}
    rows = read_metrics(folder / METRICS)
    state = result.get("state", FINISHED) if result else INTERRUPTED
    if state != FINISHED and holder_runs(folder):
        state = RUNNING
    last = rows[-1] if rows else {}
    figures = last | result if state == FINISHED else result | last
    accuracies = (figures.get("test_accuracy"), figures.get("valid_accuracy"))
    sizes = figures.get("network") or figures
    seconds = figures.get("seconds")
    return {
        "state": state,
        **_origin(folder, result),
        "epochs": max(last.get("epoch", 0), result.get("epochs", 0)),
        "accuracy": next((value for value in accuracies if value is not None), None),
        "params": sizes.get("params"),
        "macs": sizes.get("macs"),
        "minutes": None if seconds is None else round(seconds / 60, 2),
        "settled": result.get("settled"),
        "problem": str(result.get("reason", "")),
    }


def _origin(folder: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the run is a run of, from its settings and its result."""
    settings = _settings(folder)
    data = settings.get("data")
    named = {
        "kind": "search" if "space" in settings else "retraining",
        "space": settings.get("space"),
        "method": settings.get("method", "darts") if "space" in settings else None,
        "cell": settings.get("cell"),
        "data": data.get("name") if isinstance(data, dict) else data,
        "seed": settings.get("seed"),
    }
    told = {name: result[name] for name in named if result.get(name) is not None}
    return {**named, **told, "of_epochs": settings.get("epochs")}


def _settings(folder: Path) -> dict[str, Any]:
    if not (folder / SETTINGS).is_file():
        return read_config(folder)
    settings = read_json(folder / SETTINGS)
    if not isinstance(settings, dict):
        raise InputError(f"{format_value(folder / SETTINGS)}: holds no settings")
    return settings
