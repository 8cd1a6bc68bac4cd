"""Memory that this process may still allocate."""

import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_KIB = 1024


def available_memory(root: Path = _ROOT) -> int | None:
    """Return the bytes left by the system, the control groups and ``ulimit``, whichever is least; None if unknown.

    Memory that the system can reclaim, such as its file cache, counts as available. Only Linux reports all of this;
    elsewhere the result is the machine's total memory.
    """
    limits = [*_of_the_system(root), *_of_control_groups(root), *_of_address_space(root)]
    return max(min(limits), 0) if limits else None


def _of_the_system(root: Path) -> Iterator[int]:
    lines = _text(root / "proc/meminfo").splitlines()
    available = [int(line.split()[1]) * _KIB for line in lines if line.startswith("MemAvailable:")]
    if not available and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        available = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    yield from available


def _of_control_groups(root: Path) -> Iterator[int]:
    """Yield the bytes left by the control groups (v2 and v1) of the process and by their parents."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        inner = Path(place.lstrip("/"))
        for group in (inner, *inner.parents):
            if controllers == "":
                yield from _left(mount / group, "memory.max", "memory.current", "inactive_file")
            elif controllers == "memory":
                folder = mount / "memory" / group
                yield from _left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _left(group: Path, limit: str, usage: str, reclaimable: str) -> Iterator[int]:
    most, used = _text(group / limit).strip(), _text(group / usage).strip()
    if most.isdigit() and used.isdigit():
        stat = dict(line.split() for line in _text(group / "memory.stat").splitlines())
        yield int(most) - int(used) + int(stat.get(reclaimable, 0))


def _of_address_space(root: Path) -> Iterator[int]:
    """Yield the bytes left by ``ulimit -v``, if it is set."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _text(root / "proc/self/statm").split()
    if most != resource.RLIM_INFINITY and used:
        yield most - int(used[0]) * os.sysconf("SC_PAGE_SIZE")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
