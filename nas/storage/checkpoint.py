"""Checkpoints: written whole or not at all, sealed by a digest, and read without running code from them.

A checkpoint is what ``torch.save`` writes, a zip archive, with ``sha256:<digest of all bytes before>`` as the
archive's comment: ``torch.load`` reads it as any other. The archive's own checksums do not cover its headers.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nas.core.errors import InputError
from nas.core.limits import MAX_CHECKPOINT
from nas.storage.atomic_files import error_reason, write_file
from nas.storage.zip_checks import holds_only_tensors, is_bounded

DAMAGED = "not a checkpoint, or cut off or altered since it was written"
SEAL = b"sha256:"
SEAL_BYTES = len(SEAL) + 64
END_BYTES = 22  # of the record that ends an archive; its last two bytes give the length of the comment behind it


def save_checkpoint(path: Path, state: dict[str, Any], ready: Callable[[], None] | None = None) -> None:
    """Write ``state`` (tensors, numbers, text, and dicts and lists of them) to ``path``.

    A kill at any moment, or a full disk, leaves the checkpoint that was there. ``ready`` is called when the new one
    has reached the disk, in front of its taking the name. Raises :class:`InputError` where writing fails.
    """
    buffer = io.BytesIO()  # in memory first: torch hides the system's reason when it writes to a full disk itself
    torch.save(state, buffer)
    buffer.seek(-2, io.SEEK_END)
    buffer.write(SEAL_BYTES.to_bytes(2, "little"))
    buffer.write(_seal(buffer.getbuffer()))
    write_file(path, buffer.getvalue(), ready)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What :func:`save_checkpoint` wrote, on the CPU; raises :class:`InputError` for a missing or altered file."""
    data = _read(path)
    try:
        state = _load(data) if _whole(data) else None
    except Exception as error:  # what another program wrote raises almost anything
        raise InputError(f"{path}: {DAMAGED}") from error
    if not isinstance(state, dict):
        raise InputError(f"{path}: {DAMAGED}")
    if _extent(state) > 3 * len(data):  # a retraining's file names its network's weights twice
        raise InputError(f"{path}: {DAMAGED}; its tensors say that they are larger than the file")
    return state


def _load(data: bytes) -> Any:
    """What is in an archive that is stored plainly and names nothing but tensors; None for any other."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        safe = is_bounded(archive, len(data)) and holds_only_tensors(archive)
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True) if safe else None


def _extent(tree: Any) -> int:
    """The bytes of all tensors in a tree, were each a copy: a single number can stand for a tensor of any shape."""
    if isinstance(tree, torch.Tensor):
        return tree.numel() * tree.element_size()
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    return sum(map(_extent, parts))


def check_checkpoint(path: Path) -> None:
    """Raise :class:`InputError` for a missing or altered file, without building what is in it."""
    if not _whole(_read(path)):
        raise InputError(f"{path}: {DAMAGED}")


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    try:
        if path.stat().st_size > MAX_CHECKPOINT:
            raise InputError(f"{path}: is larger than {MAX_CHECKPOINT:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error_reason(error)})") from error


def _whole(data: bytes) -> bool:
    """Whether every byte is as it was written. Where there is no seal, the archive's own checksums must do."""
    if data[-END_BYTES:].startswith(b"PK\5\6") and data.endswith(b"\0\0"):  # no comment: torch.save alone wrote it
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return is_bounded(archive, len(data)) and archive.testzip() is None
        except Exception:  # a damaged archive raises almost anything
            return False
    return data[-SEAL_BYTES:] == _seal(memoryview(data)[:-SEAL_BYTES])


def _seal(data: memoryview) -> bytes:
    return SEAL + hashlib.sha256(data).hexdigest().encode()
