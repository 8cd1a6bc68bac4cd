"""Environment record of a run: versions, commit, hardware and command."""

import datetime
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from typing import Any

import torch

from nas.core.paths import PACKAGE
from nas.core.version import __version__

LIBRARIES = ("torchvision", "numpy", "networkx", "hydra-core")


def environment() -> dict[str, Any]:
    """Return versions, git commit, hardware and command line of this process, and the time."""
    return {
        "date": utc_now(),
        "command": shlex.join([sys.executable, *sys.argv]),
        "nas": __version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # includes the build, +cpu or +cu…
        **{library: _version(library) for library in LIBRARIES},
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def utc_now() -> str:
    """Return the time in UTC to the second, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def git_commit() -> str | None:
    """Return the commit of the running source, with ``+changes`` if files differ from it; None outside a clone."""
    try:
        inside = _git("rev-parse", "--show-toplevel")
        if not inside or not PACKAGE.is_relative_to(inside) or "site-packages" in PACKAGE.parts:
            return None
        changed = _git("status", "--porcelain", "--untracked-files=no")
        return _git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PACKAGE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 a device, not a path to build on
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return f"{len(names)} x {names[0]}" if names else platform.processor()
