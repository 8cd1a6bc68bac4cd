"""Altered checkpoints: refused in one line, or read exactly as stored; never other values, never a crash."""

import os
import random
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nas.core.errors import InputError
from nas.storage.checkpoint import load_checkpoint
from tests.faults.child import Child
from tests.faults.kills import undisturbed
from tests.faults.outcome import Clock, Part
from tests.faults.same import different

BATCH = 50  # cases of one child; after a crash the rest of its batch is tried again
LIMIT = 120.0

Alter = Callable[[bytearray, random.Random], None]


def flip_bit(data: bytearray, draw: random.Random) -> None:
    """One bit."""
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def truncate(data: bytearray, draw: random.Random) -> None:
    """The end is missing."""
    del data[draw.randrange(len(data)) :]


def zero_block(data: bytearray, draw: random.Random) -> None:
    """A block is zero, as in a file whose block was never written."""
    start, length = draw.randrange(len(data)), draw.choice([1, 16, 512, 4096])
    data[start : start + length] = bytes(len(data[start : start + length]))


def append(data: bytearray, draw: random.Random) -> None:
    """More bytes at the end."""
    data += draw.randbytes(draw.choice([1, 22, 512]))


def swap_blocks(data: bytearray, draw: random.Random) -> None:
    """Two blocks of the same length are swapped."""
    length = min(draw.choice([1, 64, 512]), len(data) // 4)
    one, two = draw.randrange(len(data) // 2 - length), draw.randrange(len(data) // 2, len(data) - length)
    data[one : one + length], data[two : two + length] = data[two : two + length], data[one : one + length]


def scramble(data: bytearray, draw: random.Random) -> None:
    """Some bytes become random."""
    start, length = draw.randrange(len(data)), draw.choice([2, 8, 64])
    data[start : start + length] = draw.randbytes(len(data[start : start + length]))


def cut_out(data: bytearray, draw: random.Random) -> None:
    """Bytes are missing in the middle."""
    start = draw.randrange(len(data))
    del data[start : start + draw.choice([1, 64, 512])]


ALTERATIONS: tuple[Alter, ...] = (flip_bit, truncate, zero_block, append, swap_blocks, scramble, cut_out)


def corruptions(number: int, seed: int, place: Path) -> list[Part]:
    """Alter the checkpoint of a finished search and that of a retraining ``number`` times each, and load them."""
    parts = []
    for name in ("search", "retraining"):
        part, start = Part(f"altered checkpoints of a {name}"), time.monotonic()
        whole = place.parent / "whole" / name
        problem = undisturbed(name, whole)
        if problem:
            part.fail(problem)
        else:
            shutil.copy(whole / "checkpoint.pt", _made(place / name) / "checkpoint.pt")
            _try_all(part, place / name / "checkpoint.pt", name, number, seed)
        part.seconds = time.monotonic() - start
        parts.append(part)
    return parts


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _try_all(part: Part, path: Path, name: str, number: int, seed: int) -> None:
    clock = Clock(f"altered {name}", number)
    cases = list(range(number))
    while cases:
        batch, cases = cases[:BATCH], cases[BATCH:]
        report = path.with_name("report")
        report.write_text("")
        child = Child(partial(_try, path, name, seed, batch, report), path.parent, path.parent / "log")
        ended = child.wait(LIMIT)
        lines = [line.split("\t") for line in report.read_text().splitlines()]
        for case, note, problem in lines:
            part.tried += 1
            part.count(note)
            if problem:
                part.fail(f"seed {seed}, altered {name} {case}: {problem}")
        if len(lines) < len(batch):  # it crashed, or never returned
            part.tried += 1
            end = ended.err.strip()[-300:]
            part.fail(f"seed {seed}, altered {name} {batch[len(lines)]}: ended with {ended.code} {end}")
            cases = batch[len(lines) + 1 :] + cases
        clock.show(part.tried, len(part.failures))


def _try(path: Path, name: str, seed: int, cases: list[int], report: Path) -> None:
    """In a child: write one line per case as soon as it is done."""
    stored, original = load_checkpoint(path), path.read_bytes()
    altered = path.with_name("altered.pt")
    with report.open("w") as lines:
        for case in cases:
            draw, data = random.Random(f"{seed} {name} {case}"), bytearray(original)
            alter = draw.choice(ALTERATIONS)
            alter(data, draw)
            altered.write_bytes(data)
            note, problem = _load(altered, stored, unchanged=data == original)
            lines.write(f"{case}\t{note}\t{problem and f'{alter.__name__}: {problem}'}\n")
            lines.flush()
            os.fsync(lines.fileno())


def _load(path: Path, stored: dict, *, unchanged: bool) -> tuple[str, str]:
    """Return how loading ended, and the problem with that."""
    try:
        found = load_checkpoint(path)
    except InputError as error:
        line = str(error)
        wrong = "" if line.isprintable() and str(path) in line else f"an error of another form: {line!r}"
        return "refused", "an unchanged file is refused" if unchanged else wrong
    except BaseException as error:
        return "crashed", f"{type(error).__name__}: {error}".replace("\n", " ").replace("\t", " ")
    places = different(stored, found) + ([] if stored["seconds"] == found.get("seconds") else ["seconds"])
    note = "nothing was changed" if unchanged else "read, and the same"
    return note, f"other values: {', '.join(places[:5])}" if places else ""
