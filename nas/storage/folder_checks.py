"""Validation of an untrusted run folder: plain files and folders only."""

import stat
from pathlib import Path

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.run_files import (
    ALPHAS,
    BEST,
    CHECKPOINT,
    CONFIG,
    ENVIRONMENT,
    EVENTS,
    FINGERPRINT,
    GENOTYPE,
    GENOTYPES,
    LOCK,
    METRICS,
    RESULT,
    SETTINGS,
    WEIGHTS,
)

_FILES = (
    CONFIG,
    SETTINGS,
    ENVIRONMENT,
    FINGERPRINT,
    LOCK,
    CHECKPOINT,
    METRICS,
    RESULT,
    GENOTYPE,
    ALPHAS,
    BEST,
    WEIGHTS,
)
_FOLDERS = (EVENTS, GENOTYPES)
_MAX_DEPTH = 8  # a run's own files lie one folder deep


def check_run_folder(folder: Path) -> None:
    """Raise :class:`InputError` if ``folder`` holds a link, a pipe, a device, or a folder in place of a run's file.

    A link would redirect what the run writes; opening a pipe or a device might never return. A missing ``folder`` is
    accepted: a new run creates it. A path that is not UTF-8 is refused, as TensorBoard cannot write to it.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{format_value(folder)}: the name of a run folder must be UTF-8") from error
    pending = [(folder, 0)]
    while pending:  # not recursive: the folder may be nested deeper than Python's stack
        current, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise InputError(f"{format_value(folder)}: is no run folder: nested deeper than {_MAX_DEPTH} folders")
        for path in _entries(current):
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # another process works in the folder; the lock will tell
                continue
            _check_entry(path, mode, top=depth == 0)
            if stat.S_ISDIR(mode):
                pending.append((path, depth + 1))


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise InputError(f"{format_value(folder)}: is a file, a folder is expected") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{format_value(folder)}: cannot be read ({error})") from error


def _check_entry(path: Path, mode: int, top: bool) -> None:
    if stat.S_ISLNK(mode):
        raise InputError(f"{format_value(path)}: is a link; a run folder holds plain files only")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{format_value(path)}: is not a regular file; a run folder holds plain files only")
    if top and path.name in _FILES and not stat.S_ISREG(mode):
        raise InputError(f"{format_value(path)}: is a folder, a file is expected")
    if top and path.name in _FOLDERS and not stat.S_ISDIR(mode):
        raise InputError(f"{format_value(path)}: is a file, a folder is expected")
