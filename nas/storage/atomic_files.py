"""Reading text that others wrote and writing files whole: every failure is one line that names the file."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nas.core.errors import InputError
from nas.core.formatting import format_value

MAX_TEXT_BYTES = 1_000_000


def read_text(path: Path) -> str:
    """The UTF-8 text of a regular file of at most 1 MB; raises :class:`InputError` for anything else."""
    try:
        check_regular_file(path)
        with path.open("rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{format_value(path)}: cannot be read ({error_reason(error)})") from error
    if len(data) > MAX_TEXT_BYTES:
        raise InputError(f"{format_value(path)}: is larger than {MAX_TEXT_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{format_value(path)}: is not a text file (UTF-8)") from error


def check_regular_file(path: Path) -> None:
    """Raise :class:`InputError` for a folder, a device or a pipe; the last two may never end."""
    if path.is_dir():
        raise InputError(f"{format_value(path)}: is a folder, a file is expected")
    if path.exists() and not path.is_file():
        raise InputError(f"{format_value(path)}: is not a regular file")


def write_file(path: Path, data: bytes, ready: Callable[[], None] | None = None) -> None:
    """Write ``data`` to ``path`` whole or not at all, making missing folders; ``ready`` as in :func:`open_atomic`.

    Raises :class:`InputError` where that is not possible (a full disk included); what was at ``path`` is then still
    there.
    """
    try:
        with open_atomic(path, ready) as file:
            file.write(data)
    except (OSError, ValueError) as error:
        raise InputError(f"{format_value(path)}: cannot be written ({error_reason(error)})") from error


@contextmanager
def open_atomic(path: Path, ready: Callable[[], None] | None = None) -> Iterator[BinaryIO]:
    """A file to write that becomes ``path`` at the end of the block: a reader sees the old file or the new one.

    By then it has reached the disk; ``ready`` is called between the two. Missing folders are made. An error in the
    block, or a kill, leaves ``path`` as it was. Raises what the system raises, :class:`OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if ready is not None:
            ready()
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def fsync_file(path: Path) -> None:
    """Wait until what was written to the file ``path`` has reached the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` lasting, where the system can (POSIX)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def error_reason(error: Exception) -> str:
    """Why the system refused, in its own words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
