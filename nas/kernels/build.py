"""The shared library of compiled kernels: built from ``csrc`` on first use and cached; optional.

The library runs inside the process, so a cached one is loaded only if the folder and the file belong to this user,
nobody else can write to them, and the content has the SHA-256 digest in the file's name. Anything else is rebuilt.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_CSRC = Path(__file__).parent / "csrc"
_SOURCES = tuple(sorted(_CSRC.glob("*.cpp")))
_HEADERS = tuple(sorted(_CSRC.glob("*.h")))
_COMPILER_SECONDS = 300  # the compiler takes about ten of them
_STALE_SECONDS = 3600  # after which an unfinished build belongs to a process that was killed


class _CompilerError(Exception):
    """The compiler is missing, failed or took too long."""


@functools.cache
def load_library() -> tuple[ctypes.CDLL | None, str]:
    """Return the compiled kernels, and a remark: why there are none, or why they were not cached.

    Environment: ``NAS_KERNELS=off`` leaves everything to stock torch, ``CXX`` names the compiler and
    ``NAS_KERNELS_FLAGS`` adds flags.
    """
    if os.environ.get("NAS_KERNELS", "on") == "off":
        return None, "NAS_KERNELS=off"
    if os.name != "posix":
        return None, "compiled kernels need a POSIX system"
    try:
        compiler = [*shlex.split(os.environ.get("CXX") or "c++"), *_flags()]
        return _load(compiler)
    except (OSError, ValueError, _CompilerError) as error:
        return None, _one_line(error)


def _load(compiler: list[str]) -> tuple[ctypes.CDLL, str]:
    identity = _identity(compiler)
    try:
        folder = _cache_folder()
        for path in folder.glob(f"kernels-{identity}-*.so"):
            try:
                if _is_intact(path):
                    return ctypes.CDLL(str(path)), ""
            except OSError:
                pass  # not a library of this machine
            path.unlink()
        return ctypes.CDLL(str(_build(compiler, identity, folder))), ""
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
        reason = _one_line(error)
    with tempfile.TemporaryDirectory(prefix="nas-kernels-") as private:  # mode 0700; the loaded library outlives it
        library = ctypes.CDLL(str(_build(compiler, identity, Path(private))))
    return library, f"built for this process alone: {reason}"


def _flags() -> list[str]:
    """Return the compiler's flags. Apple's clang has no OpenMP, and on ARM its own name for the native processor.

    For some processors GCC replaces a multiplication and an addition by one instruction, which rounds once, in loops
    over many pixels and not in those over few. Without that parameter equal pixels would become unequal ones, which
    the BatchNorm of a constant feature map magnifies.
    """
    apple = sys.platform == "darwin"
    native = "-mcpu=native" if apple and platform.machine() == "arm64" else "-march=native"
    parallel = [] if apple else ["-fopenmp"]
    equal_pixels = [] if apple else ["--param=avoid-fma-max-bits=0"]
    return ["-std=c++17", "-O3", native, *parallel, *equal_pixels, "-fPIC", "-shared", *_extra_flags()]


def _extra_flags() -> list[str]:
    return shlex.split(os.environ.get("NAS_KERNELS_FLAGS", ""))


def _identity(compiler: list[str]) -> str:
    """Return a name for all that the library depends on."""
    texts = [path.read_text() for path in (*_SOURCES, *_HEADERS)]
    text = "\n".join([*texts, *compiler, platform.platform(), _processor()])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _processor() -> str:
    """Return the lines of /proc/cpuinfo that ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(next((line for line in lines if line.startswith(key)), "") for key in ("model name", "flags"))


def _cache_folder() -> Path:
    """Return the user's cache folder; raise OSError if others own it, could write to it or could replace it."""
    parent = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not parent.is_absolute():
        parent = Path.home() / ".cache"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = parent.resolve() / "nas-superops"
    folder.mkdir(mode=0o700, exist_ok=True)
    for above in folder.parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise OSError(f"{above}: everyone can replace what is in it")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise OSError(f"{folder}: belongs to another user (uid {status.st_uid})")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            os.fchmod(descriptor, 0o700)
            for path in folder.glob("kernels-*.so"):  # others may have put it there
                path.unlink()
    finally:
        os.close(descriptor)
    return folder


def _is_intact(path: Path) -> bool:
    """Return whether the library belongs to this user alone and has the digest in its name."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # a link, for example
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        own = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not (stat.S_ISREG(status.st_mode) and own):
            return False
        return path.stem.endswith("-" + hashlib.file_digest(file, "sha256").hexdigest())


def _build(compiler: list[str], identity: str, folder: Path) -> Path:
    """Build the library and move it into ``folder`` whole: several processes may do so at once."""
    _remove_stale_builds(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as building:
        built = Path(building) / "kernels.so"
        _compile([*compiler, *map(str, _SOURCES), "-o", str(built)])
        built.chmod(0o700)  # whatever the umask
        with built.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        return built.replace(folder / f"kernels-{identity}-{digest}.so")


def _compile(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # e.g. of a sanitizer
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=_COMPILER_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _CompilerError(str(error)) from error
    if done.returncode != 0:
        raise _CompilerError(f"{command[0]} failed: {done.stderr or done.stdout}")


def _remove_stale_builds(folder: Path) -> None:
    for path in folder.glob(".building-*"):
        if time.time() - path.lstat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
