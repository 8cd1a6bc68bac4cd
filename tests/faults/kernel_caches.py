"""Damaged kernel caches: the library is rebuilt, the run ends with the same bits, and nothing crashes."""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from nas.kernels.build import load_library
from nas.storage.checkpoint import load_checkpoint
from tests.faults.child import Child, Ended, command
from tests.faults.kills import RUNS
from tests.faults.outcome import Clock, Part
from tests.faults.same import different

LIMIT = 240.0
COMPILER = '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\ncp "{library}" "$2"\n'  # copies a finished library: fast

Damage = Callable[[Path, random.Random], None]


def truncated(library: Path, draw: random.Random) -> None:
    """The end is missing."""
    data = library.read_bytes()
    _replace(library, data[: draw.randrange(len(data))])


def empty(library: Path, _: random.Random) -> None:
    """The file has no bytes."""
    _replace(library, b"")


def garbage(library: Path, draw: random.Random) -> None:
    """Random bytes."""
    _replace(library, draw.randbytes(5000))


def flipped(library: Path, draw: random.Random) -> None:
    """A few bytes are altered."""
    data = bytearray(library.read_bytes())
    for _ in range(draw.choice([1, 20])):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    _replace(library, bytes(data))


def foreign(library: Path, _: random.Random) -> None:
    """A shared library of another kind."""
    import _ctypes

    _replace(library, Path(_ctypes.__file__).read_bytes())


def a_folder(library: Path, _: random.Random) -> None:
    """A folder in its place."""
    library.unlink()
    library.mkdir()


def a_pipe(library: Path, _: random.Random) -> None:
    """A pipe in its place."""
    library.unlink()
    os.mkfifo(library)


def a_link(library: Path, draw: random.Random) -> None:
    """A link to a damaged library."""
    truncated(library, draw)
    library.rename(library.with_name("target"))
    library.symlink_to("target")


def writable_by_all(library: Path, _: random.Random) -> None:
    """The library and its folder are writable by every user."""
    library.chmod(0o777)
    library.parent.chmod(0o777)


def litter(library: Path, _: random.Random) -> None:
    """A half-written library of a killed build."""
    (library.parent / ".building-x").mkdir()
    (library.parent / ".building-x" / library.name).write_bytes(b"half")


DAMAGES: tuple[Damage, ...] = (
    truncated,
    empty,
    garbage,
    flipped,
    foreign,
    a_folder,
    a_pipe,
    a_link,
    writable_by_all,
    litter,
)


def kernel_caches(number: int, seed: int, place: Path) -> Part:
    """Damage the cached kernels ``number`` times and run a short search with each."""
    part, start = Part("damaged kernel caches"), time.monotonic()
    clock, intact = Clock(part.name, number), place / "intact"
    if shutil.which("c++") is None:
        part.count("no compiler: not tried")
        return part
    ended = _run(place, intact, place / "first", "c++")
    libraries = sorted((intact / "nas-superops").glob("*.so"))
    if ended.code != 0 or not libraries:
        part.fail(f"the intact cache: {ended}")
        return part
    compiler = place / "compiler"
    shutil.copy(libraries[0], place / "library.so")
    compiler.write_text(COMPILER.format(library=place / "library.so"))
    compiler.chmod(0o755)
    _run(place, place / "fresh", place / "second", str(compiler))  # the cache's names depend on the compiler
    expected = load_checkpoint(place / "second/checkpoint.pt")
    for case in range(number):
        draw = random.Random(f"{seed} kernel caches {case}")
        damage = DAMAGES[case % len(DAMAGES)]
        cache, folder = place / f"cache{case}", place / f"run{case}"
        shutil.copytree(place / "fresh", cache)
        damage(next((cache / "nas-superops").glob("*.so")), draw)
        problem = _judge(_run(place, cache, folder, str(compiler)), folder, expected)
        part.tried += 1
        part.count(damage.__name__)
        if problem:
            part.fail(f"seed {seed}, {part.name} {case}, {damage.__name__}: {problem}; see {cache}")
        else:
            shutil.rmtree(cache)
            shutil.rmtree(folder)
        clock.show(part.tried, len(part.failures))
    part.seconds = time.monotonic() - start
    return part


def _run(place: Path, cache: Path, folder: Path, compiler: str) -> Ended:
    program, words = RUNS["search"]
    work = command(program, [*words, "execution=fused", "epochs=1", f"run.dir={folder}"])

    def with_cache() -> None:
        os.environ |= {"XDG_CACHE_HOME": str(cache), "CXX": compiler}
        os.environ.pop("NAS_KERNELS", None)
        try:
            work()
        finally:
            (place / f"{folder.name}-kernels").write_text("compiled" if load_library()[0] else load_library()[1])

    return Child(with_cache, place, place / f"{folder.name}-log").wait(LIMIT)


def _judge(ended: Ended, folder: Path, expected: dict) -> str:
    if ended.code != 0 or "Traceback" in ended.err:
        return f"ended with {ended.code}: {ended.err[-300:]}"
    kernels = folder.with_name(f"{folder.name}-kernels").read_text()
    if kernels != "compiled":
        return f"the kernels are not used: {kernels}"
    places = different(expected, load_checkpoint(folder / "checkpoint.pt"))
    return f"other values: {', '.join(places[:5])}" if places else ""


def _replace(library: Path, data: bytes) -> None:
    """Write a new file: the library may be mapped by a process that still runs."""
    library.unlink()
    library.write_bytes(data)
    library.chmod(0o755)
