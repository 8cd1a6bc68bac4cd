"""Lock that lets one process at a time work in a folder."""

import errno
import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.run_files import LOCK
from nas.runtime.environment import utc_now
from nas.storage.atomic_files import error_reason

try:
    import fcntl
except ImportError:  # no POSIX system
    fcntl = None  # type: ignore[assignment]

_held: set[int] = set()  # descriptors; forked processes must not hold their parent's locks
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link is followed, no pipe waited for


@dataclass(frozen=True)
class Holder:
    """Process that holds a lock, and since when (UTC, ISO 8601)."""

    pid: int
    host: str
    since: str


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of an existing folder within the block; raises :class:`InputError` if another process holds it.

    The lock is the system's (``flock``) on the file ``lock``, so it ends with the process; the contents of the file
    name the holder. If the system has no such locks, or the holder is on another machine, the file itself is the lock:
    a holder on this machine that no longer runs has lost it, one on another machine keeps it.
    """
    path = folder / LOCK
    try:
        descriptor = _take(path)
    except OSError as error:
        raise InputError(f"{format_value(path)}: cannot be written ({error_reason(error)})") from error
    _held.add(descriptor)
    try:
        yield
    finally:
        _held.discard(descriptor)
        with suppress(OSError):
            if _is_at(descriptor, path):
                path.unlink()
        os.close(descriptor)


def holder_runs(folder: Path) -> bool:
    """Return whether a process works in the run folder; the lock is left as it is.

    A process on another machine counts as running. A lock whose holder no longer runs is what a killed one leaves.
    """
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDONLY | _SAFE)
    except OSError:
        return False
    try:
        holder = _read(descriptor)
        if holder is None or (holder.host == socket.gethostname() and not _runs(holder.pid)):
            return False
        if fcntl is None or holder.host != socket.gethostname():
            return True
        try:  # another process may have the id of a killed one: then the system's lock is free
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without such locks
            return True
        return False
    finally:
        os.close(descriptor)


def _take(path: Path) -> int:
    """Return the descriptor of the lock file, locked and with this process's name in it."""
    while True:
        created, descriptor = _open(path)
        try:
            alone = _flock(descriptor)
            if not _is_at(descriptor, path):  # its last holder has just removed it
                os.close(descriptor)
                continue
            if not created or alone is False:
                _check_free(path, _read(descriptor), alone)
            if not created and alone is None:  # creating the file is what only one process can do
                path.unlink(missing_ok=True)
                os.close(descriptor)
                continue
            os.ftruncate(descriptor, 0)
            holder = Holder(os.getpid(), socket.gethostname(), utc_now())
            os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            raise
        return descriptor


def _open(path: Path) -> tuple[bool, int]:
    """Return whether the file is new, and its descriptor; raises :class:`InputError` unless it is a plain file."""
    with suppress(FileExistsError):
        return True, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _SAFE, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
            raise InputError(f"{format_value(path)}: is a link or a socket; delete it") from error
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:  # its contents are about to be overwritten
        os.close(descriptor)
        raise InputError(f"{format_value(path)}: is not a plain file of its own; delete it")
    return False, descriptor


def _flock(descriptor: int) -> bool | None:
    """Return whether this process got the system's lock; None if the system has no such locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


def _check_free(path: Path, holder: Holder | None, alone: bool | None) -> None:
    """Raise :class:`InputError` if another process works in the folder; ``alone`` is the result of :func:`_flock`."""
    where = f"{format_value(path.parent)}: one run at a time may use a folder, and"
    if holder is None:
        if alone is False:
            raise InputError(f"{where} another process works in it")
        return
    who = f"process {holder.pid} on {format_value(holder.host)} has worked in it since {format_value(holder.since)}"
    if holder.host != socket.gethostname():
        raise InputError(f"{where} {who}; if that machine is gone, delete {format_value(path)}")
    if alone is False or (alone is None and _runs(holder.pid)):
        raise InputError(f"{where} {who}")


def _read(descriptor: int) -> Holder | None:
    try:
        content = json.loads(os.pread(descriptor, 1000, 0))
        return Holder(int(content["pid"]), str(content["host"]), str(content["since"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _is_at(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _runs(pid: int) -> bool:
    """Return whether a process of this machine has the id."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to another user
        return True
    return True


def _close_in_child() -> None:
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
