"""Checkpoints: written atomically, sealed by a digest, and read without running code from them.

A checkpoint is what ``torch.save`` writes, a zip archive, with ``sha256:<digest of all bytes before>`` as the
archive's comment; ``torch.load`` reads it like any other. The archive's own checksums do not cover its headers.
It is not read by ``torch.load``, see :mod:`nas.storage.checkpoint_pickle`.
"""

import hashlib
import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.limits import MAX_CHECKPOINT
from nas.storage.atomic_files import read_bytes, write_file
from nas.storage.checkpoint_pickle import ForeignObjectError, read_pickle_state
from nas.storage.zip_checks import has_torch_layout, is_bounded

_DAMAGED = "not a checkpoint, or cut off or altered since it was written"
_SEAL = b"sha256:"
_SEAL_BYTES = len(_SEAL) + 64
_END_BYTES = 22  # of the record that ends an archive; its last two bytes are the length of the comment after it
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number with which such a file begins
_MAX_PICKLE = 64_000_000  # bytes of a checkpoint without its tensors; DARTS' supernet has 2 MB


def save_checkpoint(path: Path, state: dict[str, Any], ready: Callable[[], None] | None = None) -> None:
    """Write ``state`` (tensors, numbers, text, and dicts and lists of them) to ``path``.

    A kill at any moment, or a full disk, leaves the previous checkpoint intact. ``ready`` is called when the new one
    has reached the disk, before it is renamed to ``path``. Raises :class:`InputError` if writing fails.
    """
    buffer = io.BytesIO()  # in memory first: writing to a full disk itself, torch hides the system's reason
    torch.save(_unshared(state), buffer)
    buffer.seek(-2, io.SEEK_END)
    buffer.write(_SEAL_BYTES.to_bytes(2, "little"))
    buffer.write(_digest(buffer.getbuffer()))
    write_file(path, buffer.getvalue(), ready)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state written by :func:`save_checkpoint`, on the CPU; raises :class:`InputError` for a bad file.

    Time and memory are linear in the size of the file. No list or dict of the state occurs twice in it.
    """
    data = _read(path)
    if data.startswith(_LEGACY):
        convert = "torch.save(torch.load('OLD', map_location='cpu', weights_only=True), 'NEW')"
        form = "not a checkpoint of today's format but of torch before 1.6"
        raise InputError(f"{format_value(path)}: {form}; write it anew: {convert}")
    try:
        state = _read_state(data) if _is_intact(data) else None
    except ForeignObjectError as error:
        held = f"not a checkpoint that is read here, it holds an object ({format_value(str(error))})"
        only = "only tensors, numbers and text are read; save its state dict alone"
        raise InputError(f"{format_value(path)}: {held}; {only}") from error
    except Exception as error:  # what another program wrote raises almost anything
        raise InputError(f"{format_value(path)}: {_DAMAGED}") from error
    if not isinstance(state, dict):
        raise InputError(f"{format_value(path)}: {_DAMAGED}")
    if _total_bytes(state) > 3 * len(data):  # a training's checkpoint refers to its network's weights twice
        raise InputError(f"{format_value(path)}: {_DAMAGED}; its tensors claim to be larger than the file")
    return state


def check_checkpoint(path: Path) -> None:
    """Raise :class:`InputError` for a missing or altered file, without building its state."""
    if not _is_intact(_read(path)):
        raise InputError(f"{format_value(path)}: {_DAMAGED}")


def _read_state(data: bytes) -> Any:
    """Return the state in an archive laid out as by ``torch.save``; None for any other archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if not is_bounded(archive, len(data)) or not has_torch_layout(archive, data):
            return None
        members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
        if members["data.pkl"].file_size > _MAX_PICKLE:
            return None
        order = archive.read(members["byteorder"]) if "byteorder" in members else b"little"
        if order.decode() != sys.byteorder:
            return None

        def read_storage(key: str, size: int) -> torch.UntypedStorage:
            member = members[f"data/{key}"]
            if member.file_size != size:
                raise ValueError("a storage of another size")
            if size == 0:
                return torch.empty(0, dtype=torch.uint8).untyped_storage()
            return torch.frombuffer(bytearray(archive.read(member)), dtype=torch.uint8).clone().untyped_storage()

        return read_pickle_state(archive.read(members["data.pkl"]), read_storage)


def _unshared(tree: Any) -> Any:
    """Return a copy in which no list or dict occurs twice, as :func:`load_checkpoint` demands; tensors are shared."""
    if isinstance(tree, dict):
        copy: Any = type(tree)((key, _unshared(value)) for key, value in tree.items())
        if hasattr(tree, "_metadata"):  # of a module's state dict
            copy._metadata = _unshared(tree._metadata)
        return copy
    return type(tree)(map(_unshared, tree)) if type(tree) in (list, tuple) else tree


def _total_bytes(tree: Any) -> int:
    """Return the bytes of all tensors in a tree, were each a copy: one number can back a tensor of any shape."""
    if isinstance(tree, torch.Tensor):
        return tree.numel() * tree.element_size()
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    return sum(map(_total_bytes, parts))


def _read(path: Path) -> bytes:
    try:
        exists = path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        exists = False
    if not exists:
        raise InputError(f"{format_value(path)}: no such checkpoint")
    return read_bytes(path, MAX_CHECKPOINT)


def _is_intact(data: bytes) -> bool:
    """Return whether every byte is as it was written. Without a seal, the archive's own checksums decide."""
    if data[-_END_BYTES:].startswith(b"PK\5\6") and data.endswith(b"\0\0"):  # no comment: plain torch.save wrote it
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return is_bounded(archive, len(data)) and archive.testzip() is None
        except Exception:  # a damaged archive raises almost anything
            return False
    return data[-_SEAL_BYTES:] == _digest(memoryview(data)[:-_SEAL_BYTES])


def _digest(data: memoryview) -> bytes:
    return _SEAL + hashlib.sha256(data).hexdigest().encode()
