"""How much memory of the machine this process may still take."""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
KIB = 1024


def available_memory(root: Path = ROOT) -> int | None:
    """Bytes: the least of what the system, the process's control groups and its own limit leave; None: not known.

    Memory that the system can take back, such as files it has read, counts as there. Only Linux says all of this;
    elsewhere it is all memory that the machine has.
    """
    found = [*_of_the_system(root), *_of_control_groups(root), *_of_address_space(root)]
    return max(min(found), 0) if found else None


def _of_the_system(root: Path) -> Iterator[int]:
    lines = _text(root / "proc/meminfo").splitlines()
    found = [int(line.split()[1]) * KIB for line in lines if line.startswith("MemAvailable:")]
    if not found and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    yield from found


def _of_control_groups(root: Path) -> Iterator[int]:
    """What the groups of the process, and those around them, leave; of version 2 and of version 1."""
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


def _left(group: Path, limit: str, usage: str, given_back: str) -> Iterator[int]:
    most, used = _text(group / limit).strip(), _text(group / usage).strip()
    if most.isdigit() and used.isdigit():
        stat = dict(line.split() for line in _text(group / "memory.stat").splitlines())
        yield int(most) - int(used) + int(stat.get(given_back, 0))


def _of_address_space(root: Path) -> Iterator[int]:
    """What ``ulimit -v`` leaves."""
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
