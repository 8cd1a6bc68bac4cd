"""Generated untrusted checkpoints: refused in one line, or read as by torch.load, in linear time and memory."""

import os
import pickletools
import random
import resource
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from nas.core.errors import InputError
from nas.storage.checkpoint import load_checkpoint
from tests.faults.child import Child
from tests.faults.kills import undisturbed
from tests.faults.outcome import Clock, Part
from tests.faults.same import different

BATCH = 25  # cases of one child
LIMIT = 240.0  # seconds of a batch
SECONDS = 20.0  # of a case
MEMORY = 300_000  # kB by which a case may raise the process's peak; the files have less than 10 MB
NESTING = {b"]": b"a", b")\x85": b"", b"}X\x01\x00\x00\x00a": b"s"}  # opcodes that open a level, and that close it

Members = dict[str, bytes]
Make = Callable[[Members, random.Random], None]


def _pickle_name(members: Members) -> str:
    return next(name for name in members if name.endswith("/data.pkl"))


def _opcodes(data: bytes) -> list[bytes]:
    """Return the pickle cut into its instructions."""
    starts = [position for _, _, position in pickletools.genops(data)]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def shared_containers(members: Members, draw: random.Random) -> None:
    """Lists or dicts that hold the one before twice: 2**levels when traversed."""
    data, levels = b"\x80\x02}X\x01\x00\x00\x00aq\xff" + b"]q\x00", draw.randrange(20, 200)
    for number in range(levels):
        get = b"h" + bytes([number])
        data += draw.choice([b"](" + get + get + b"e", b"}(K\x00" + get + b"K\x01" + get + b"u", get + get + b"\x86"])
        data += b"q" + bytes([number + 1])
    members[_pickle_name(members)] = data + b"s."


def self_reference(members: Members, draw: random.Random) -> None:
    """A container in the pickle gets a memoized one as an item, perhaps itself."""
    opcodes = _opcodes(members[_pickle_name(members)])
    puts = [code for code in opcodes if code[:1] in (b"q", b"r")]
    place = draw.randrange(1, len(opcodes))
    put = draw.choice(puts)
    get = (b"h" if put[:1] == b"q" else b"j") + put[1:]
    opcodes.insert(place, b"]" + put + get + b"a" if draw.random() < 0.5 else get)
    members[_pickle_name(members)] = b"".join(opcodes)


def deep_nesting(members: Members, draw: random.Random) -> None:
    """Up to 200,000 levels of lists, tuples or dicts."""
    opening = draw.choice(list(NESTING))
    count = draw.choice([33, 500, 5000, 200_000])
    body = b")" + b"\x85" * count if opening == b")\x85" else opening * count + b"N" + NESTING[opening] * count
    members[_pickle_name(members)] = b"\x80\x02}X\x01\x00\x00\x00a" + body + b"s."


def huge_sizes(members: Members, draw: random.Random) -> None:
    """Numbers of the pickle, among them sizes, strides, offsets and lengths, become huge or negative."""
    opcodes = _opcodes(members[_pickle_name(members)])
    numbers = [index for index, code in enumerate(opcodes) if code[:1] in (b"K", b"M", b"J")]
    for index in draw.sample(numbers, min(len(numbers), draw.choice([1, 3, 50]))):
        value = draw.choice([0, 1, 2**31 - 1, 2**62, 2**63, 2**400, -1, -(2**31), draw.randrange(10**6)])
        length = (value.bit_length() + 8) // 8
        opcodes[index] = b"\x8a" + bytes([length]) + value.to_bytes(length, "little", signed=True)
    members[_pickle_name(members)] = b"".join(opcodes)


def stack_tricks(members: Members, draw: random.Random) -> None:
    """Instructions removed, doubled, swapped, or replaced by others, allowed and forbidden ones."""
    opcodes = _opcodes(members[_pickle_name(members)])
    others = [b"(", b"0", b"1", b"2", b"t", b"e", b"u", b"a", b"s", b"R", b"b", b"Q", b"h\x00", b"N", b"]", b"}", b")"]
    others += [b"cos\nsystem\n", b"c__builtin__\nbytearray\n", b"\x85", b"\x86", b"\x93", b"\x95" + bytes(8), b"."]
    for _ in range(draw.choice([1, 1, 2, 10])):
        place = draw.randrange(len(opcodes))
        kind = draw.randrange(4)
        if kind == 0:
            del opcodes[place]
        elif kind == 1:
            opcodes.insert(place, opcodes[draw.randrange(len(opcodes))])
        elif kind == 2:
            other = draw.randrange(len(opcodes))
            opcodes[place], opcodes[other] = opcodes[other], opcodes[place]
        else:
            opcodes[place] = draw.choice(others)
    members[_pickle_name(members)] = b"".join(opcodes)


def random_bytes(members: Members, draw: random.Random) -> None:
    """Bytes of the pickle are replaced."""
    data = bytearray(members[_pickle_name(members)])
    for _ in range(draw.choice([1, 3, 30])):
        data[draw.randrange(len(data))] = draw.randrange(256)
    members[_pickle_name(members)] = bytes(data)


def other_members(members: Members, draw: random.Random) -> None:
    """Members of the archive are missing, renamed, swapped, resized or added."""
    name, other = draw.choice(list(members)), draw.choice(list(members))
    kind = draw.randrange(5)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[draw.choice(["x/../y", "archive/code/a.py", name.upper(), name + "²", "data.pkl"])] = members.pop(name)
    elif kind == 2:
        members[name], members[other] = members[other], members[name]
    elif kind == 3:
        members[name] = members[name][:-1] if draw.random() < 0.5 else members[name] * 2
    else:
        members[draw.choice(["archive/x.py", "archive/constants.pkl", "archive/data/99999", "evil"])] = bytes(5000)


MAKERS: tuple[Make, ...] = (
    shared_containers,
    self_reference,
    deep_nesting,
    huge_sizes,
    stack_tricks,
    random_bytes,
    other_members,
)


def untrusted_checkpoints(number: int, seed: int, place: Path) -> list[Part]:
    """Generate ``number`` checkpoints from that of a search and from that of a training each, and load them."""
    parts = []
    for name in ("search", "retraining"):
        part, start = Part(f"untrusted checkpoints of a {name}"), time.monotonic()
        intact, folder = place.parent / "whole" / name, place / name
        folder.mkdir(parents=True, exist_ok=True)
        problem = undisturbed(name, intact)
        if problem:
            part.fail(problem)
        else:
            _try_all(part, intact / "checkpoint.pt", folder, number, seed)
        part.seconds = time.monotonic() - start
        parts.append(part)
    return parts


def _try_all(part: Part, source: Path, folder: Path, number: int, seed: int) -> None:
    clock, cases = Clock(part.name, number), list(range(number))
    while cases:
        batch, cases = cases[:BATCH], cases[BATCH:]
        report = folder / "report"
        report.write_text("")
        work = partial(_try, source, folder / "checkpoint.pt", f"{seed} {part.name}", batch, report)
        ended = Child(work, folder, folder / "log").wait(LIMIT)
        lines = [line.split("\t") for line in report.read_text().splitlines()]
        for case, note, problem in lines:
            part.tried += 1
            part.count(note)
            if problem:
                part.fail(f"seed {seed}, {part.name} {case}: {problem}")
        if len(lines) < len(batch):  # it crashed, or never returned; the rest of the batch is tried again
            part.tried += 1
            part.fail(f"seed {seed}, {part.name} {batch[len(lines)]}: ended with {ended.code} {ended.err[-300:]}")
            cases = batch[len(lines) + 1 :] + cases
        clock.show(part.tried, len(part.failures))


def _try(source: Path, path: Path, label: str, cases: list[int], report: Path) -> None:
    """In a child: write one line per case as soon as it is done."""
    with zipfile.ZipFile(source) as archive:
        original = {name: archive.read(name) for name in archive.namelist()}
    load_checkpoint(source)  # what the first load imports is not counted
    with report.open("w") as lines:
        for case in cases:
            draw = random.Random(f"{label} {case}")
            make = draw.choice(MAKERS)
            write_untrusted(path, original, make, draw)
            note, problem = judge_load(path)
            lines.write(f"{case}\t{note}\t{problem and f'{make.__name__}: {problem}'}\n")
            lines.flush()
            os.fsync(lines.fileno())


def write_untrusted(path: Path, original: Members, make: Make, draw: random.Random) -> None:
    """Write a changed archive, valid as such but without a digest; sometimes after a pickle of the legacy format."""
    members = dict(original)
    make(members, draw)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    if draw.random() < 0.05:
        path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + path.read_bytes())


def judge_load(path: Path) -> tuple[str, str]:
    """Return how loading ended, and the problem with that."""
    peak, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    note, problem = _load(path)
    raised = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    if time.monotonic() - start > SECONDS:
        return "slow", f"took {time.monotonic() - start:.0f} s"
    if raised > MEMORY:
        return "large", f"took {raised / 1000:.0f} MB for {path.stat().st_size / 1e6:.1f} MB"
    return note, problem


def _load(path: Path) -> tuple[str, str]:
    try:
        state = load_checkpoint(path)
    except InputError as error:
        line = str(error)
        return "refused", "" if line.isprintable() and str(path) in line else f"an error of another form: {line!r}"
    except BaseException as error:
        return "crashed", f"{type(error).__name__}: {error}".replace("\n", " ").replace("\t", " ")
    if _repeats(state):
        return "loaded", "a list or dict occurs twice"
    try:
        expected = torch.load(path, weights_only=True, map_location="cpu")  # harmless: the strict reader took it
    except Exception as error:
        return f"loaded, but torch.load raises {type(error).__name__}", ""
    places = different(expected, state)
    return "loaded, as by torch.load", f"other values: {', '.join(places[:5])}" if places else ""


def _repeats(state: object) -> bool:
    """Return whether a list or dict occurs twice in ``state``."""
    seen, pending = set(), [state]
    while pending:
        value = pending.pop()
        if isinstance(value, dict | list):
            if id(value) in seen:
                return True
            seen.add(id(value))
        if isinstance(value, dict | list | tuple):
            pending += value.values() if isinstance(value, dict) else value
    return False
