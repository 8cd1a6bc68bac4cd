"""Fixtures that run the commands in the test's process."""

import os
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from nas.cli.search import main
from nas.ops import registry
from tests.helpers.command_lines import ROOT, TINY

PROGRESS = ("epoch ", "reading images", "downloading ", "profile: ", "predicting")


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


class Ended(NamedTuple):
    """Result of a command: exit code, stdout, and the lines of stderr without progress."""

    code: int
    out: str
    complaints: list[str]


Run = Callable[..., Ended]


@pytest.fixture
def ended(capsys: pytest.CaptureFixture[str]) -> Callable[[Callable[[], None]], Ended]:
    """Call a command's function and return its result."""

    def call(command: Callable[[], None]) -> Ended:
        capsys.readouterr()
        code = 0
        try:
            command()
        except SystemExit as raised:
            code = raised.code or 0
        out, err = capsys.readouterr()
        return Ended(code, out, [line for line in err.splitlines() if line.strip() and not line.startswith(PROGRESS)])

    return call


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder; restore the registries afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command sets it
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # and this
    monkeypatch.setattr(registry.operators, "_entries", dict(registry.operators._entries))
    monkeypatch.setattr(registry, "_user_files", set())
    return tmp_path


@pytest.fixture
def run(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, ended: Callable[..., Ended]) -> Run:
    """Run ``search.py`` with exactly the given arguments."""

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", [str(ROOT / "search.py"), *arguments])
        return ended(main)

    return call


@pytest.fixture
def search(run: Run) -> Run:
    """Run a search of about a second, with further arguments."""
    return lambda *arguments: run(*TINY, *arguments)


@pytest.fixture
def refused(search: Run, elsewhere: Path) -> Callable[..., None]:
    """Check that a search exits with 2 and one line holding all of ``parts``, and leaves no file."""

    def check(arguments: list[str], parts: list[str]) -> None:
        before = files(elsewhere)
        code, out, complaints = search(*arguments)
        assert (code, out, len(complaints)) == (2, "", 1), complaints
        assert complaints[0].startswith("error: ")
        assert len(complaints[0]) < 700
        for part in parts:
            assert part in complaints[0]
        assert files(elsewhere) == before

    return check


@pytest.fixture
def pictures(elsewhere: Path) -> Path:
    """``photos/train|test/cat|dog/*.png``: 12 images of 8 x 8 in each class folder."""
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            folder = elsewhere / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(12):
                Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number}.png")
    return elsewhere / "photos"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture
def child_environment() -> dict[str, str]:
    """Environment of a separate process: this source, one thread."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": ""}
