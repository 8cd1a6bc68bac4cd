"""Hypothesis strategies for bad input: settings, spaces, cells, run folders, checkpoints."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from nas.cli.config import RetrainConfig, SearchConfig
from nas.core.dataclass_config import dotted_keys
from nas.graph.genotype_yaml import genotype_to_yaml
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import load_genotype
from nas.storage.checkpoint import load_checkpoint, save_checkpoint
from tests.faults.child import Child, command

TINY = ["data=digits", "data.limit=64", "channels=2", "cells=3", "batch_size=16", "epochs=1", "threads=1", "device=cpu"]
SHORT = "max_minutes=0.1"
NUMBERS = [
    "0",
    "-1",
    "3",
    "1.5",
    "1e309",
    "nan",
    "-inf",
    "1e9",
    str(10**9),
    str(10**18),
    str(2**63),
    "9" * 400,
    "1e-400",
]
WORDS = ["null", "true", "", "x", "[1,2]", "{a:1}", "'\x1b[2J'", "../..", "/dev/zero", "${oc.env:HOME}", "ü", "a b"]
VALUES = st.sampled_from(NUMBERS + WORDS) | st.text("abc019.,:+-_/=[]{}\"'\\$ \t", max_size=15)
LONG = ("max_minutes", "epochs", "run.dir", "resume", "compile", "eval", "output", "data.root", "data.cache", "ops")


@dataclass
class Case:
    """A command line, the files in its folder, and words of which an error must name one."""

    kind: str
    program: str
    words: list[str]
    culprits: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    copied: Path | None = None  # a run folder, copied to "run"

    def prepare(self, work: Path) -> None:
        """Create the folder in which the command is started."""
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        if self.copied is not None:
            shutil.copytree(self.copied, work / "run")
        for name, content in self.files.items():
            (work / name).unlink(missing_ok=True)
            (work / name).write_bytes(content)


def cases(samples: Path) -> st.SearchStrategy[Case]:
    """Return cases of every kind; ``samples`` is the folder of :func:`make_samples`."""
    kinds = [
        overrides("search.py", SearchConfig, ["space=tiny"]),
        overrides("retrain.py", RetrainConfig, ["cell=darts_v2"]),
        small_commands(),
        spaces(),
        cells(),
        notations(),
        run_folders(samples),
        checkpoints(samples),
    ]
    return st.sampled_from(range(len(kinds))).flatmap(kinds.__getitem__)


def make_samples(place: Path) -> Path:
    """Run a search and a retraining that stop early, for cases that resume or alter them; return their folder."""
    samples = place / "samples"
    samples.mkdir(parents=True, exist_ok=True)
    for program, what in (("search.py", "space=tiny"), ("retrain.py", "cell=darts_v2")):
        folder = samples / program.partition(".")[0]
        words = [*TINY, what, "epochs=2", "max_minutes=1e-9", f"run.dir={folder}"]
        ended = Child(command(program, words), place, place / "log").wait(120)
        assert ended.code == 0, ended
    return samples


def overrides(program: str, config: type, plain: list[str]) -> st.SearchStrategy[Case]:
    """Return cases of up to three settings of any key and value, or words that are not settings."""
    keys = st.sampled_from([key for key in dotted_keys(config) if key not in LONG])
    keys |= st.text("abc.~+@", min_size=1, max_size=8)
    words = st.tuples(keys, VALUES).map("=".join) | st.text("abc019=[]{}$!", min_size=1, max_size=8)

    def case(found: list[str]) -> Case:
        culprits = [word.lstrip("+~").partition("=")[0].partition("@")[0].partition(".")[0] for word in found]
        return Case("settings", program, [*TINY, *plain, *found, SHORT], [*culprits, *found])

    plain_words = words.filter(lambda word: not word.startswith(("-", "~max", "hydra")))
    return st.lists(plain_words, min_size=1, max_size=3).map(case)


def small_commands() -> st.SearchStrategy[Case]:
    """Return cases of ``nas`` with known and unknown arguments."""
    options = [
        "show",
        "draw",
        "ops",
        "spaces",
        "export",
        "darts_v2",
        "-o",
        "x.svg",
        "x.onnx",
        "../x",
        "--ops",
        "--nope",
    ]
    words = st.lists(st.sampled_from(options) | st.text("ab/.-(", max_size=6), min_size=1, max_size=4)
    return words.map(lambda found: Case("nas", "nas", found, ["nas", *filter(None, found)]))


def spaces() -> st.SearchStrategy[Case]:
    """Return cases of a space file with any operators and sizes, or garbled text."""
    names = st.sampled_from(["conv_3x3", "none", "skip_connect", "sandglass_3x3_t2", "nope", "__class__", ""])
    sizes = st.dictionaries(
        st.sampled_from(["inputs", "intermediate_nodes", "edges_per_node", "x"]),
        st.sampled_from([-1, 0, 1, 2, 3, 63, 64, 10**9, 1.5, None, "2", True]),
        max_size=3,
    )
    scalars = st.none() | st.integers() | st.floats() | st.text(max_size=8)
    data = st.fixed_dictionaries(
        {"operators": st.lists(names | scalars, max_size=4)},
        optional={"topology": sizes | scalars, "description": scalars, "more": scalars},
    )
    texts = data.map(lambda value: yaml.safe_dump(value).encode()) | _garbled(b"operators: [none, conv_3x3]\n")
    words = [*TINY, "space=case.yaml", SHORT]
    return texts.map(lambda text: Case("space", "search.py", words, ["case.yaml", "case"], {"case.yaml": text}))


def cells() -> st.SearchStrategy[Case]:
    """Return cases of a genotype file with odd values or garbled text, to show, draw or train."""
    good = yaml.safe_load(genotype_to_yaml(load_genotype("darts_v2")))
    odd = st.sampled_from([None, -1, 0, 10**9, 1e300, "x", [], {}, [["a", 0]], [["conv_3x3", 99]], True, "../../x"])
    places = st.sampled_from(
        ["name", "origin", "inputs", "edges_per_node", "normal", "reduce", "normal.2", "reduce.concat"]
    )

    def with_odd(changes: list[tuple[str, Any]]) -> bytes:
        data = {key: dict(value) if isinstance(value, dict) else value for key, value in good.items()}
        for place, value in changes:
            key, _, inner = place.partition(".")
            if inner and isinstance(data.get(key), dict):
                data[key][int(inner) if inner.isdigit() else inner] = value
            else:
                data[key] = value
        return yaml.safe_dump(data).encode()

    texts = st.lists(st.tuples(places, odd), min_size=1, max_size=2).map(with_odd)
    texts |= _garbled(genotype_to_yaml(load_genotype("darts_v2")).encode())
    ways: list[tuple[str, list[str]]] = [
        ("nas", ["show", "case.yaml"]),
        ("nas", ["draw", "case.yaml", "-o", "new.svg"]),
        ("retrain.py", [*TINY, "cell=case.yaml", SHORT]),
    ]
    return st.builds(
        lambda way, text: Case("cell", *way, ["case.yaml"], {"case.yaml": text}), st.sampled_from(ways), texts
    )


def notations() -> st.SearchStrategy[Case]:
    """Return cases of tuple notation, garbled or deeply nested, on the command line and in a file."""
    good = format_tuple_notation(load_genotype("darts_v2"))
    nested = st.builds(
        lambda sign, count: f"Genotype(normal={sign * count}, reduce=[])",
        st.sampled_from(["(", "[", "{1:", "-", "not ", "lambda:", "x.", "f(", "'", "1+", "a[", "*"]),
        st.integers(1, 5000),
    )
    texts = _garbled(good.encode()) | nested.map(str.encode)
    in_file = texts.map(lambda text: Case("notation", "nas", ["show", "case.txt"], ["case.txt"], {"case.txt": text}))

    def typed(text: bytes) -> Case:
        word = text.decode(errors="replace").replace("\0", "")
        return Case(
            "notation",
            "nas",
            ["show", "--", word],
            ["tuple notation", "unknown cell", "genotype", "ends with", ".py", "cell"],
        )

    return in_file | texts.map(typed)


def run_folders(samples: Path) -> st.SearchStrategy[Case]:
    """Return cases that resume a run folder with an altered file."""
    files = ["config.yaml", "checkpoint.pt", "metrics.jsonl", "environment.json"]
    programs = st.sampled_from(["search", "retrain"])

    def case(program: str, name: str, alter: Callable[[bytes], bytes]) -> Case:
        folder = samples / program
        content = alter((folder / name).read_bytes())
        words = ["resume=run", SHORT, "threads=1"]
        culprits = [f"run/{name}", "resume=run", *dotted_keys(SearchConfig), *dotted_keys(RetrainConfig)]
        return Case("run folder", f"{program}.py", words, culprits, {f"run/{name}": content}, folder)

    settings = st.builds(_with_setting, st.sampled_from(dotted_keys(SearchConfig)), VALUES)
    alterations = st.one_of(_alterations(), settings)
    return st.builds(case, programs, st.sampled_from(files), alterations)


def checkpoints(samples: Path) -> st.SearchStrategy[Case]:
    """Return cases of a trained network's checkpoint with odd values, to evaluate, export or resume."""
    odd = st.sampled_from([None, -1, 0, 10**9, 1e300, float("nan"), "x", "\x1b[2J", [], [1], {}, (3, 10**6, 10**6)])
    keys = st.sampled_from(
        ["channels", "cells", "classes", "image_shape", "mean", "genotype", "ops", "stem", "dataset"]
    )
    tops = st.sampled_from(
        ["network", "model", "weights", "optimizer", "epoch", "step", "seconds", "metrics", "format"]
    )
    ways = st.sampled_from(
        [
            ("retrain.py", ["eval=run/checkpoint.pt", "data=digits", "threads=1"]),
            ("nas", ["export", "run/checkpoint.pt", "-o", "new.pt2"]),
            ("retrain.py", ["resume=run", SHORT, "threads=1"]),
        ]
    )

    def case(way: tuple[str, list[str]], inner: bool, top: str, key: str, value: Any) -> Case:
        state = load_checkpoint(samples / "retrain/checkpoint.pt")
        if inner:
            state["network"][key] = value
        else:
            state[top] = value
        path = samples / "altered.pt"
        save_checkpoint(path, state)
        files = {"run/checkpoint.pt": path.read_bytes()}
        return Case("checkpoint", *way, ["run/checkpoint.pt"], files, samples / "retrain")

    return st.builds(case, ways, st.booleans(), tops, keys, odd)


def _with_setting(key: str, value: str) -> Callable[[bytes], bytes]:
    """Return a function that changes one value of a stored configuration, and leaves other files as they are."""

    def alter(content: bytes) -> bytes:
        try:
            data = yaml.safe_load(content)
        except (yaml.YAMLError, UnicodeDecodeError):
            return content
        if not isinstance(data, dict) or "seed" not in data:
            return content
        first, _, second = key.partition(".")
        if second and isinstance(data.get(first), dict):
            data[first][second] = value
        else:
            data[first] = value
        return yaml.safe_dump(data).encode()

    return alter


def _alterations() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    return st.builds(lambda seed: lambda content: _garble(content, seed), st.integers(0, 2**32))


def _garbled(text: bytes) -> st.SearchStrategy[bytes]:
    return st.integers(0, 2**32).map(lambda seed: _garble(text, seed)) | st.binary(max_size=40)


def _garble(content: bytes, seed: int) -> bytes:
    """Return ``content`` with pieces removed, repeated, or replaced by random or meaningful bytes, or truncated."""
    draw, data = random.Random(seed), bytearray(content)
    for _ in range(draw.randrange(1, 4)):
        start = draw.randrange(len(data) + 1)
        piece = data[start : start + draw.choice([1, 3, 20])]
        kind = draw.randrange(5)
        if kind == 0:
            del data[start : start + len(piece)]
        elif kind == 1:
            data[start:start] = piece * draw.choice([1, 50])
        elif kind == 2:
            data[start : start + 1] = draw.choice(
                [b"&a ", b"*a", b"!!python/name:os.system ", b"[" * 99, b"\0", b"\xff", b"9" * 99]
            )
        elif kind == 3:
            del data[start:]
        else:
            data[start : start + len(piece)] = draw.randbytes(len(piece))
    return bytes(data)
