"""The last checkpoints of a run: ``checkpoint.pt`` is the newest, ``checkpoint-1.pt`` the one before, and so on."""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.storage.checkpoint import check_checkpoint, save_checkpoint


def save_with_retention(path: Path, state: dict[str, Any], keep: int) -> None:
    """Write ``state`` to ``path``; up to ``keep - 1`` checkpoints from before stay, as ``<stem>-1``, ``<stem>-2``, …

    There is a whole checkpoint at ``path`` at every moment from the first one on, wherever a kill or a full disk
    comes: the new one is on the disk before any name moves. Raises :class:`InputError` where writing fails.
    """
    save_checkpoint(path, state, ready=lambda: _make_room(path, keep))


def newest_valid_checkpoint(path: Path) -> Path | None:
    """The newest whole one of the checkpoints that are kept at ``path``; None where there is none at all.

    A warning, one line on standard error, names newer ones that are passed over. Raises :class:`InputError` where
    some are there and none is whole.
    """
    passed_over: list[str] = []
    for place in _kept(path):
        try:
            check_checkpoint(place)
        except InputError as error:
            passed_over.append(str(error))
            continue
        if place != path and not path.exists():
            passed_over.insert(0, f"{path}: is missing")
        if passed_over:
            print(f"warning: {'; '.join(passed_over)}; {place.name} is used instead", file=sys.stderr)
        return place
    if passed_over:
        raise InputError("; ".join(passed_over))
    return None


def promote_checkpoint(chosen: Path, path: Path) -> None:
    """Give ``chosen`` the name ``path``; newer ones get ``.damaged`` behind theirs and are not read any more."""
    if chosen == path:
        return
    for place in _kept(path):
        if place == chosen:
            break
        place.replace(place.with_name(f"{place.name}.damaged"))
    chosen.replace(path)


def _kept(path: Path) -> list[Path]:
    """The checkpoints that are there, newest first."""
    numbered = [place for place in path.parent.glob(f"{path.stem}-*{path.suffix}") if _number(place)]
    return [*([path] if path.exists() else []), *sorted(numbered, key=_number)]


def _number(place: Path) -> int:
    """1 of ``checkpoint-1.pt``; 0 of another name."""
    match = re.search(r"-([1-9]\d*)$", place.stem)
    return int(match[1]) if match else 0


def _make_room(path: Path, keep: int) -> None:
    """Move the older checkpoints on by one, the oldest over the edge, and let the newest have a second name."""
    for place in reversed(_kept(path)):
        number = 0 if place == path else _number(place)
        if number >= keep:
            place.unlink()
        elif number < keep - 1:
            to = path.with_name(f"{path.stem}-{number + 1}{path.suffix}")
            (_link if place == path else Path.replace)(place, to)


def _link(path: Path, to: Path) -> None:
    """Make ``to`` another name of the file, over what had it; where the file system has no links, its only name."""
    temporary = to.with_name(f".{to.name}.{os.getpid()}.tmp")
    try:
        os.link(path, temporary)
        temporary.replace(to)
    except OSError:
        path.replace(to)
    finally:
        with suppress(OSError):  # renaming one name of a file to another one of it does nothing (POSIX)
            temporary.unlink(missing_ok=True)
