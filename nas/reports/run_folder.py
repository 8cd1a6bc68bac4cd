"""Readers for the files of a run folder."""

import shlex
import statistics
from pathlib import Path
from typing import Any

from nas.core.deprecation import RENAMED_SETTINGS, rename_settings
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.run_files import CONFIG, ENVIRONMENT, METRICS, RESULT
from nas.engine.run_result import FINISHED, result_state
from nas.runtime.metrics_log import read_metrics
from nas.runtime.run_format import read_format
from nas.storage.json_file import read_json
from nas.storage.yaml_file import read_mapping


def read_config(folder: Path) -> dict[str, Any]:
    """Read the run's resolved configuration, with settings under their current names and without its ``format``.

    Every reader of a stored ``config.yaml`` calls this function. Raises :class:`InputError` if ``folder`` is not a run
    folder, and if an old and a new name are both set to different values.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"{format_value(folder)}: not a run folder: {CONFIG} is missing")
    stored = read_mapping(folder / CONFIG)
    read_format(stored, folder / CONFIG)
    return rename_settings({key: value for key, value in stored.items() if key != "format"}, RENAMED_SETTINGS)


def read_result(folder: Path) -> dict[str, Any]:
    """Read the result of a finished run, with epochs from 1; raises :class:`InputError` if it cannot be read."""
    try:
        data = read_json(folder / RESULT)
    except InputError as error:
        raise InputError(f"{format_value(folder / RESULT)}: cannot be read as a result") from error
    result = data if isinstance(data, dict) else {}
    if isinstance(result.get("best_epoch"), int) and read_format(result, folder / RESULT) == 1:
        result["best_epoch"] += 1
    return result


def is_finished(folder: Path) -> bool:
    """Return whether the run in ``folder`` has finished; a result that cannot be read counts, its readers refuse it."""
    return (folder / RESULT).is_file() and result_state(folder) in (None, FINISHED)


def read_sessions(folder: Path) -> list[dict[str, Any]]:
    """Read the environment record of each session of the run, oldest first; empty if they cannot be read."""
    try:
        sessions = read_json(folder / ENVIRONMENT)
    except InputError:
        return []
    return [session for session in sessions if isinstance(session, dict)] if isinstance(sessions, list) else []


def read_overrides(folder: Path) -> dict[str, str]:
    """Return the settings on the command line that started the run: key to value, as typed; empty if unreadable."""
    try:
        words = [word for session in read_sessions(folder)[:1] for word in shlex.split(str(session.get("command", "")))]
    except ValueError:  # an unclosed quote
        return {}
    return {key: value for key, sign, value in (word.partition("=") for word in words) if sign and key[:1].isalpha()}


def epochs_done(folder: Path) -> int:
    """Return the number of finished epochs of the run."""
    return max((row["epoch"] for row in read_metrics(folder / METRICS)), default=0)


def images_per_second(folder: Path) -> float | None:
    """Return the median over the run's epochs; None if no epoch was timed."""
    speeds = [row.get("images_per_second") for row in read_metrics(folder / METRICS)]
    known = [float(speed) for speed in speeds if isinstance(speed, int | float)]
    return statistics.median(known) if known else None
