"""Checkpoints: written whole or not at all, and read without running code from them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from nas.core.archive import is_bounded, is_plain
from nas.core.errors import InputError
from nas.core.files import write_file

DAMAGED = "not a checkpoint, or cut off or altered since it was written"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, text, and dicts and lists of them) to ``path``.

    A kill at any moment, or a full disk, leaves the checkpoint that was there. Raises :class:`InputError` where
    writing fails.
    """
    buffer = io.BytesIO()  # in memory first: torch hides the system's reason when it writes to a full disk itself
    torch.save(state, buffer)
    write_file(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What :func:`save_checkpoint` wrote, on the CPU; raises :class:`InputError` for a missing or altered file."""
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    try:
        with zipfile.ZipFile(path) as archive:
            safe = is_bounded(archive, path.stat().st_size) and is_plain(archive)
            whole = safe and archive.testzip() is None  # torch writes checksums, but does not look at them
        state = torch.load(path, map_location="cpu", weights_only=True) if whole else None
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(f"{path}: {DAMAGED}") from error
    if not isinstance(state, dict):
        raise InputError(f"{path}: {DAMAGED}")
    return state
