"""``result.json``: what a run is the result of, and how it ended."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nas.core.errors import DivergedError, InputError
from nas.core.json_text import format_json
from nas.core.run_files import METRICS, RESULT
from nas.runtime.environment import environment
from nas.runtime.metrics_log import read_metrics
from nas.runtime.run_format import RUN_FORMAT
from nas.storage.atomic_files import write_file
from nas.storage.json_file import read_json

FINISHED, STOPPED, DIVERGED = "finished", "stopped", "diverged"
_VERSIONS = ("nas", "git_commit", "python", "torch", "torchvision", "numpy")


def write_result(folder: Path, state: str, source: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Write ``result.json``: ``source`` says what was run (kind, data, seed, …), ``figures`` what came out.

    ``state`` is finished, stopped (with a checkpoint) or diverged. The command and the versions are this process's.
    """
    now = environment()
    versions = {name: now[name] for name in _VERSIONS}
    session = {"command": now["command"], "versions": versions, "date": now["date"]}
    result = {"format": RUN_FORMAT, **source, "state": state, **figures, **session}
    write_file(folder / RESULT, format_json(result, indent=1).encode())


@contextmanager
def recorded_end(folder: Path, source: Mapping[str, Any]) -> Iterator[None]:
    """Write a result if the run diverges within this block."""
    try:
        yield
    except DivergedError as error:
        last = ([{}, *read_metrics(folder / METRICS)])[-1]
        figures = {"epochs": last.get("epoch", 0), "seconds": last.get("seconds"), "reason": str(error)}
        with suppress(InputError):  # the divergence is what the user must know
            write_result(folder, DIVERGED, source, figures)
        raise


def remove_unfinished_result(folder: Path) -> None:
    """Remove the result of an earlier session that did not finish the run; call it once the run continues."""
    if result_state(folder) not in (None, FINISHED):
        (folder / RESULT).unlink(missing_ok=True)


def result_state(folder: Path) -> str | None:
    """Return how the run in ``folder`` ended; None if it has no readable result. Old results are of finished runs."""
    try:
        result = read_json(folder / RESULT)
    except InputError:
        return None
    state = result.get("state", FINISHED) if isinstance(result, dict) else None
    return state if state in (FINISHED, STOPPED, DIVERGED) else None
