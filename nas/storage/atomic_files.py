"""Atomic writing and bounded reading of files: every failure is one line that names the file."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nas.core.errors import InputError
from nas.core.formatting import format_value

MAX_TEXT_BYTES = 1_000_000

_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # opening a pipe that nobody writes to would wait for ever


def read_text(path: Path) -> str:
    """Return the UTF-8 text of a regular file of at most 1 MB; raises :class:`InputError` for anything else."""
    data = read_bytes(path, MAX_TEXT_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{format_value(path)}: is not a text file (UTF-8)") from error


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the contents of a regular file of at most ``limit`` bytes; raises :class:`InputError` for anything else.

    It never waits: a pipe or a device that takes the file's place between check and opening is refused too.
    """
    try:
        check_regular_file(path)
        with open(os.open(path, os.O_RDONLY | _NONBLOCK), "rb") as file:  # noqa: PTH123  a descriptor
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{format_value(path)}: is not a regular file")
            size = os.fstat(file.fileno()).st_size
            data = file.read(limit + 1) if size <= limit else b""
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{format_value(path)}: cannot be read ({error_reason(error)})") from error
    if size > limit or len(data) > limit:
        raise InputError(f"{format_value(path)}: is larger than {limit:,} bytes")
    return data


def check_regular_file(path: Path) -> None:
    """Raise :class:`InputError` for a folder, an impossible name, or a device or pipe, which may never end."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:  # a name of 300 characters, say
        raise InputError(f"{format_value(path)}: cannot be read ({error_reason(error)})") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{format_value(path)}: is a folder, a file is expected")
    if not stat.S_ISREG(mode):
        raise InputError(f"{format_value(path)}: is not a regular file")


def write_file(path: Path, data: bytes, ready: Callable[[], None] | None = None) -> None:
    """Write ``data`` to ``path`` entirely or not at all, creating missing folders; ``ready`` as in :func:`open_atomic`.

    Raises :class:`InputError` if that fails (for example on a full disk); the previous file at ``path`` then remains.
    """
    try:
        with open_atomic(path, ready) as file:
            file.write(data)
    except (OSError, ValueError) as error:
        raise InputError(f"{format_value(path)}: cannot be written ({error_reason(error)})") from error


@contextmanager
def open_atomic(path: Path, ready: Callable[[], None] | None = None) -> Iterator[BinaryIO]:
    """Yield a file that replaces ``path`` at the end of the block: a reader sees the old file or the new one.

    The data reach the disk before the file is renamed; ``ready`` is called between the two. Missing folders are
    created. An error in the block, or a kill, leaves ``path`` as it was. Raises :class:`OSError`.
    """
    make_folders(path.parent)
    temporary = path.with_name(f".{path.name[:60]}.{os.getpid()}.tmp")  # of a length that any file system takes
    try:
        temporary.unlink(missing_ok=True)  # left by a killed process, or a link that must not be followed
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if ready is not None:
            ready()
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def make_folders(folder: Path) -> None:
    """Create ``folder`` and its missing parents; unlike ``mkdir(parents=True)`` without recursion, for any depth."""
    missing = []
    for path in (folder, *folder.parents):
        if path.is_dir():
            break
        missing.append(path)
    for path in reversed(missing):
        path.mkdir(exist_ok=True)


def fsync_file(path: Path) -> None:
    """Wait until the data written to ``path`` have reached the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to the disk; only POSIX systems can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def error_reason(error: Exception) -> str:
    """Return the system's own words for an error: "No space left on device"."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
