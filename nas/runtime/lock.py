"""One process at a time in a folder."""

import json
import os
import socket
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

_held: set[int] = set()  # descriptors; processes forked from this one must not hold its locks


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, and since when (UTC, ISO 8601)."""

    pid: int
    host: str
    since: str


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Within the block the folder, which must exist, is this process's; raises :class:`InputError` where it is not.

    The system's lock (``flock``) on the file ``lock`` tells, and it ends with the process, however that ends. What
    stands in the file names the holder. Where the system has no such locks, or another machine holds the lock, the
    file itself counts: a holder on this machine that no longer runs has lost it, one on another machine keeps it.
    """
    path = folder / LOCK
    try:
        descriptor = _take(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error_reason(error)})") from error
    _held.add(descriptor)
    try:
        yield
    finally:
        _held.discard(descriptor)
        with suppress(OSError):
            if _is_at(descriptor, path):
                path.unlink()
        os.close(descriptor)


def _take(path: Path) -> int:
    """The descriptor of the lock's file, locked and with this process's name in it."""
    while True:
        created, descriptor = _open(path)
        try:
            alone = _flock(descriptor)
            if not _is_at(descriptor, path):  # its last holder has just removed it
                os.close(descriptor)
                continue
            if not created or alone is False:
                _check_free(path, _read(descriptor), alone)
            if not created and alone is None:  # making the file is what only one process can do
                path.unlink(missing_ok=True)
                os.close(descriptor)
                continue
            os.ftruncate(descriptor, 0)
            mine = Holder(os.getpid(), socket.gethostname(), utc_now())
            os.pwrite(descriptor, json.dumps(asdict(mine)).encode(), 0)
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            raise
        return descriptor


def _open(path: Path) -> tuple[bool, int]:
    """Whether the file is new, and its descriptor."""
    with suppress(FileExistsError):
        return True, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    return False, os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _flock(descriptor: int) -> bool | None:
    """Whether the system gives the lock to this process; None where it has no such locks."""
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
    """Raise :class:`InputError` where somebody works in the folder; ``alone`` is what :func:`_flock` gave."""
    where = f"{format_value(path.parent)}: a folder is one run's at a time, and"
    if holder is None:
        if alone is False:
            raise InputError(f"{where} another process works in it")
        return
    who = f"process {holder.pid} on {format_value(holder.host)} has worked in it since {format_value(holder.since)}"
    if holder.host != socket.gethostname():
        raise InputError(f"{where} {who}; should that machine be gone, delete {format_value(path)}")
    if alone is False or (alone is None and _runs(holder.pid)):
        raise InputError(f"{where} {who}")


def _read(descriptor: int) -> Holder | None:
    try:
        found = json.loads(os.pread(descriptor, 1000, 0))
        return Holder(int(found["pid"]), str(found["host"]), str(found["since"]))
    except (ValueError, KeyError, TypeError):
        return None


def _is_at(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _runs(pid: int) -> bool:
    """Whether a process of this machine has the id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is someone else's
        return True
    return True


def _close_in_child() -> None:
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
