"""What a run folder says of its run, for those who read it later."""

import shlex
import statistics
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.run_files import CONFIG, ENVIRONMENT, METRICS, RESULT
from nas.runtime.metrics_log import read_metrics
from nas.storage.json_file import read_json
from nas.storage.yaml_file import read_mapping


def read_config(folder: Path) -> dict[str, Any]:
    """The run's resolved configuration; raises :class:`InputError` where no run is."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"{format_value(folder)}: not a run folder, {CONFIG} is missing")
    return read_mapping(folder / CONFIG)


def read_result(folder: Path) -> dict[str, Any]:
    """What a finished run came to; raises :class:`InputError` where there is nothing to be read."""
    try:
        data = read_json(folder / RESULT)
    except InputError as error:
        raise InputError(f"{format_value(folder / RESULT)}: cannot be read as a result") from error
    return data if isinstance(data, dict) else {}


def is_finished(folder: Path) -> bool:
    """Whether the run in ``folder`` came to its end."""
    return (folder / RESULT).is_file()


def read_sessions(folder: Path) -> list[dict[str, Any]]:
    """The environments in which the run was worked on, first to last; empty where they cannot be read."""
    try:
        found = read_json(folder / ENVIRONMENT)
    except InputError:
        return []
    return [loop for loop in found if isinstance(loop, dict)] if isinstance(found, list) else []


def settings_given(folder: Path) -> dict[str, str]:
    """What the command line that began the run said: key to value, as typed."""
    words = [word for loop in read_sessions(folder)[:1] for word in shlex.split(str(loop.get("command", "")))]
    return {key: value for key, sign, value in (word.partition("=") for word in words) if sign and key[:1].isalpha()}


def epochs_done(folder: Path) -> int:
    """How many epochs of the run have ended."""
    return max((row["epoch"] + 1 for row in read_metrics(folder / METRICS)), default=0)


def images_per_second(folder: Path) -> float | None:
    """The median over the run's epochs; None where no epoch was timed."""
    speeds = [row.get("images_per_second") for row in read_metrics(folder / METRICS)]
    known = [float(speed) for speed in speeds if isinstance(speed, int | float)]
    return statistics.median(known) if known else None
