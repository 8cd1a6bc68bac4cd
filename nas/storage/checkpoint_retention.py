"""The last checkpoints of a run: ``checkpoint.pt`` is the newest, ``checkpoint-1.pt`` the one before, and so on."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.terminal import print_warning
from nas.storage.checkpoint import check_checkpoint, save_checkpoint


def save_with_retention(path: Path, state: dict[str, Any], keep: int) -> None:
    """Write ``state`` to ``path`` and keep up to ``keep - 1`` earlier checkpoints as ``<stem>-1``, ``<stem>-2``, …

    From the first one on there is an intact checkpoint at ``path`` at every moment, whenever a kill or a full disk
    strikes: the new one is on the disk before any file is renamed. Raises :class:`InputError` if writing fails.
    """
    save_checkpoint(path, state, ready=lambda: _make_room(path, keep))


def newest_valid_checkpoint(path: Path) -> Path | None:
    """Return the newest intact checkpoint of those kept at ``path``; None if there is none at all.

    A warning, one line on stderr, names newer ones that are damaged. Raises :class:`InputError` if there are
    checkpoints but none is intact.
    """
    skipped: list[str] = []
    for candidate in _kept(path):
        try:
            check_checkpoint(candidate)
        except InputError as error:
            skipped.append(str(error))
            continue
        if candidate != path and not path.exists():
            skipped.insert(0, f"{path}: is missing")
        if skipped:
            print_warning(f"{'; '.join(skipped)}; {candidate.name} is used instead")
        return candidate
    if skipped:
        raise InputError("; ".join(skipped))
    return None


def promote_checkpoint(chosen: Path, path: Path) -> None:
    """Rename ``chosen`` to ``path``; damaged newer ones get the suffix ``.damaged`` and are not read any more."""
    if chosen == path:
        return
    for candidate in _kept(path):
        if candidate == chosen:
            break
        candidate.replace(candidate.with_name(f"{candidate.name}.damaged"))
    chosen.replace(path)


def _kept(path: Path) -> list[Path]:
    """Return the existing checkpoints, newest first."""
    numbered = [candidate for candidate in path.parent.glob(f"{path.stem}-*{path.suffix}") if _number(candidate)]
    return [*([path] if path.exists() else []), *sorted(numbered, key=_number)]


def _number(path: Path) -> int:
    """Return 1 for ``checkpoint-1.pt`` and 0 for any other name; nobody keeps more than 1000."""
    match = re.search(r"-([1-9][0-9]{0,5})$", path.stem)
    return int(match[1]) if match else 0


def _make_room(path: Path, keep: int) -> None:
    """Shift the older checkpoints by one, drop the oldest, and link the newest as ``<stem>-1``."""
    for candidate in reversed(_kept(path)):
        number = 0 if candidate == path else _number(candidate)
        if number >= keep:
            candidate.unlink()
        elif number < keep - 1:
            target = path.with_name(f"{path.stem}-{number + 1}{path.suffix}")
            (_link if candidate == path else Path.replace)(candidate, target)


def _link(path: Path, target: Path) -> None:
    """Hard-link ``path`` as ``target``, replacing it; rename instead if the file system has no hard links."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        os.link(path, temporary)
        temporary.replace(target)
    except OSError:
        path.replace(target)
    finally:
        with suppress(OSError):  # renaming one link of a file to another link of it does nothing (POSIX)
            temporary.unlink(missing_ok=True)
