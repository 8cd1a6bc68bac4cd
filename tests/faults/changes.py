"""Data, operators and spaces changed between two sessions: refused in one line, or accepted if the user says so."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.child import Child, Ended, command
from tests.faults.outcome import Clock, Part

LIMIT = 60.0
OPERATORS = """
import sys
from pathlib import Path
import nas
sys.path.insert(0, str(Path(__file__).parent))
from helper import SIZE

@nas.register_operator("mine_3x3")
def mine(channels, stride, affine):
    return nas.ops.registry.operators["max_pool_3x3"].build(channels, stride, affine)
"""
SPACE = "operators: [mine_3x3, skip_connect, none]\ntopology: {intermediate_nodes: 2}\n"
COMMON = ["data=folder", "data.root=images", "data.size=8", "channels=2", "cells=3", "batch_size=4", "threads=1"]
COMMON += ["device=cpu", "data.pad=0"]
PROGRAMS = {
    "search": ["search.py", *COMMON, "space=my.yaml", "ops=my_ops.py", "epochs=2"],
    "retraining": ["retrain.py", *COMMON, "cell=darts_v2", "epochs=2"],
    "streamed retraining": ["retrain.py", *COMMON, "cell=darts_v2", "epochs=2", "data.stream=true", "data.workers=1"],
}

Change = Callable[[Path, random.Random], None]


def _image(work: Path, draw: random.Random) -> Path:
    return draw.choice(sorted(work.rglob("images/train/*/*.png")))


def nothing(work: Path, _: random.Random) -> None:
    """Everything stays as it was."""


def another_pixel(work: Path, draw: random.Random) -> None:
    """One pixel of an image changes."""
    path = _image(work, draw)
    pixels = np.array(Image.open(path))
    pixels[draw.randrange(8), draw.randrange(8)] ^= 128
    Image.fromarray(pixels).save(path)


def another_label(work: Path, draw: random.Random) -> None:
    """An image moves to the other class."""
    path = _image(work, draw)
    other = {"cats": "dogs", "dogs": "cats"}[path.parent.name]
    path.rename(path.parent.with_name(other) / f"moved-{path.name}")


def an_image_less(work: Path, draw: random.Random) -> None:
    """An image is removed."""
    _image(work, draw).unlink()


def an_image_more(work: Path, draw: random.Random) -> None:
    """An image is added."""
    path = _image(work, draw)
    shutil.copy(path, path.with_name("added.png"))


def another_operator(work: Path, _: random.Random) -> None:
    """The operator's code changes."""
    (work / "my_ops.py").write_text(OPERATORS.replace("max_pool_3x3", "avg_pool_3x3"))


def another_helper(work: Path, _: random.Random) -> None:
    """A module that the operator's file imports changes."""
    (work / "helper.py").write_text("SIZE = 4\n")


def another_space(work: Path, _: random.Random) -> None:
    """The space's file gets the same operators in another order."""
    (work / "my.yaml").write_text(SPACE.replace("mine_3x3, skip_connect", "skip_connect, mine_3x3"))


DATA: tuple[Change, ...] = (another_pixel, another_label, an_image_less, an_image_more)
CHANGES: dict[str, tuple[Change, ...]] = {
    "search": (nothing, *DATA, another_operator, another_helper, another_space),
    "retraining": (nothing, *DATA),
    "streamed retraining": (nothing, *DATA),
}
GROUPS = {another_operator: "ops", another_helper: "ops", another_space: "space"} | dict.fromkeys(DATA, "data")


def changes(number: int, seed: int, place: Path) -> Part:
    """Stop runs, change what they depend on, and resume them: ``number`` times."""
    part, start = Part("changed data, operators and spaces"), time.monotonic()
    clock = Clock(part.name, number)
    grid = [(name, change) for name, several in CHANGES.items() for change in several]
    random.Random(f"{seed} changes").shuffle(grid)
    for case in range(number):
        name, change = grid[case % len(grid)]
        work = place / f"case{case}"
        problem = _one(name, change, random.Random(f"{seed} changes {case}"), work)
        part.tried += 1
        part.count(f"{name}: {change.__name__}")
        if problem:
            part.fail(f"seed {seed}, changes {case}: {name}, {change.__name__}: {problem}; see {work}")
        else:
            shutil.rmtree(work)
        clock.show(part.tried, len(part.failures))
    part.seconds = time.monotonic() - start
    return part


def _one(name: str, change: Change, draw: random.Random, work: Path) -> str:
    """Return the problem with one case ("" if there is none)."""
    _prepare(work, draw)
    program, *words = PROGRAMS[name]
    first = _run(work, program, [*words, "run.dir=run", "max_minutes=1e-9"])
    if first.code != 0:
        return f"the first session ended with {first.code}: {first.err[-300:]}"
    change(work, draw)
    again = ["resume=run", "max_minutes=1e-9", *(["ops=my_ops.py"] if name == "search" else [])]
    ended = _run(work, program, again)
    lines = [line for line in ended.err.splitlines() if line.startswith(("error: ", "warning: "))]
    if change is nothing:
        return "" if (ended.code, lines) == (0, []) else f"unchanged, but ended with {ended.code}: {lines}"
    group = GROUPS[change]
    if ended.code != 2 or len(lines) != 1 or group not in lines[0]:
        return f"ended with {ended.code}: {lines or ended.err[-300:]}"
    if change is another_space:  # the alphas have another meaning
        return ""
    ended = _run(work, program, [*again, f"resume_anyway={group}"])
    return "" if ended.code == 0 else f"accepted by the user, but ended with {ended.code}: {ended.err[-300:]}"


def _run(work: Path, program: str, words: list[str]) -> Ended:
    return Child(command(program, words), work, work.with_name(f"{work.name}-log")).wait(LIMIT)


def _prepare(work: Path, draw: random.Random) -> None:
    for part, count in (("train", 8), ("test", 4)):
        for label in ("cats", "dogs"):
            folder = work / "images" / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.frombuffer(draw.randbytes(192), np.uint8).reshape(8, 8, 3)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    (work / "my_ops.py").write_text(OPERATORS)
    (work / "helper.py").write_text("SIZE = 3\n")
    (work / "my.yaml").write_text(SPACE)
