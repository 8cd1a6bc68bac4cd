"""Links, pipes, devices, sockets and folders in place of a run's files: one line, and no other file is changed."""

import os
import random
import shutil
import socket
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tests.faults.bad_inputs import contents, judge
from tests.faults.child import Child, command
from tests.faults.outcome import Clock, Part
from tests.faults.strategies import SHORT, TINY, Case, make_samples

LIMIT = 60.0
NAMES = ("config.yaml", "lock", "checkpoint.pt", "checkpoint-1.pt", "metrics.jsonl", "environment.json")
NAMES += ("genotype.yaml", "result.json", "fingerprint.json", "tensorboard", "tensorboard/events.out.tfevents.9.x")
KINDS = ("link", "dangling link", "link to a device", "link to a pipe", "hard link", "pipe", "socket", "folder")
WAYS = ("resume", "resume=true", "new", "eval", "export", "evolution", "sizes")


@dataclass
class SpecialFile(Case):
    """A case in which a file of the folder ``run`` is of a special kind."""

    name: str = ""
    special: str = ""
    new: bool = False  # the folder holds nothing else

    def prepare(self, work: Path) -> None:
        """Create the folder in which the command is started."""
        super().prepare(work)
        if self.new:
            shutil.rmtree(work / "run")
        path, thesis = work / "run" / self.name, work / "thesis.tex"
        path.parent.mkdir(parents=True, exist_ok=True)
        thesis.write_bytes((path.read_bytes() if path.is_file() else b"") or b"mine")
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        make_special(path, thesis, self.special)


def make_special(path: Path, target: Path, kind: str) -> None:
    """Create ``path`` as a file of this kind."""
    if kind == "link":
        path.symlink_to(target)
    elif kind == "dangling link":
        path.symlink_to(target.with_name("created"))
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "link to a pipe":
        os.mkfifo(target.with_name("pipe"))
        path.symlink_to(target.with_name("pipe"))
    elif kind == "hard link":
        path.hardlink_to(target)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.open(path.parent, os.O_RDONLY)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
    else:
        path.mkdir()


def special_files(number: int, seed: int, place: Path) -> Part:
    """Try ``number`` distinct combinations of file, kind and command."""
    part, start = Part("links, pipes, devices and folders"), time.monotonic()
    samples, clock = make_samples(place), Clock("special files", number)
    grid = list(product(("search", "retrain"), WAYS, NAMES, KINDS))
    random.Random(f"{seed} special files").shuffle(grid)
    for index, (program, way, name, kind) in enumerate(grid[:number]):
        case, work = _case(program, way, name, kind, samples), place / f"case{index}"
        case.prepare(work)
        before = contents(work)
        ended = Child(command(case.program, case.words), work, place / f"log{index}").wait(LIMIT)
        reads_only = way not in WAYS[:3] and ended.code == 0 and "Traceback" not in ended.err
        problem, note = ("", "done") if reads_only else judge(case, ended, before, work)
        after = contents(work)
        changed = [path for path in ("thesis.tex", "created") if before.get(path) != after.get(path)]
        problem = problem or (f"{', '.join(changed)} was changed" if changed else "")
        part.tried += 1
        part.count(f"{case.kind} {note}")
        if problem:
            part.fail(f"seed {seed}, special files {index}: {program} {way}, {name} as {kind}: {problem}; see {work}")
        else:
            shutil.rmtree(work)
            shutil.rmtree(place / f"log{index}")
        clock.show(part.tried, len(part.failures))
    part.seconds = time.monotonic() - start
    return part


def _case(program: str, way: str, name: str, kind: str, samples: Path) -> SpecialFile:
    what = "space=tiny" if program == "search" else "cell=darts_v2"
    words = {
        "resume": ["resume=run", SHORT, "threads=1"],
        "resume=true": [*TINY, what, "epochs=2", "run.dir=run", "resume=true", SHORT],
        "new": [*TINY, what, "run.dir=run", SHORT],
        "eval": ["eval=run", "data=digits", "threads=1"],
        "export": ["export", "run", "-o", "new.pt2"],
        "evolution": ["evolution", "run", "-o", "new.svg"],
        "sizes": ["sizes", "run", "-o", "new.svg"],
    }[way]
    script = "retrain.py" if way == "eval" else f"{program}.py" if way in WAYS[:3] else "nas"
    culprits = ["run", "run.dir", "resume"]
    return SpecialFile(way, script, words, culprits, {}, samples / program, name, kind, way == "new")
