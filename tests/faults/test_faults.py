"""A small part of the campaign, and tests of its judges."""

import os
import random
import subprocess
import sys

import pytest
import torch

from tests.faults.bad_inputs import judge
from tests.faults.child import Ended
from tests.faults.corruptions import ALTERATIONS
from tests.faults.disk_faults import judge_disk_fault
from tests.faults.same import different
from tests.faults.strategies import Case
from tests.helpers.command_lines import ROOT


@pytest.mark.slow
def test_a_small_campaign(tmp_path):
    counts = {"kills": 1, "stops": 1, "disk": 1, "skipped": 1, "corruptions": 20, "inputs": 8, "processes": 1}
    counts |= {"untrusted": 25, "special": 8, "caches": 0, "changes": 3}
    small = [word for name, count in counts.items() for word in (f"--{name}", str(count))]
    words = [
        sys.executable,
        "-m",
        "tests.faults.campaign",
        *small,
        "--folder",
        str(tmp_path),
        "-o",
        str(tmp_path / "table.json"),
    ]
    ended = subprocess.run(
        words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "kills of a search" in ended.stdout
    assert (tmp_path / "table.json").exists()


@pytest.mark.parametrize("alter", ALTERATIONS, ids=lambda alter: alter.__name__)
def test_alterations_alter_and_repeat(alter):
    data = random.Random(0).randbytes(5000)
    one, two = bytearray(data), bytearray(data)
    alter(one, random.Random(1))
    alter(two, random.Random(1))
    assert one == two != data


def test_differences_are_noticed_to_the_bit():
    state = {"model": {"a": torch.zeros(2)}, "epoch": 1, "seconds": 1.0, "loss": [float("nan")]}
    assert different(state, {**state, "seconds": 2.0, "loss": [float("nan")]}) == []
    assert different(state, {**state, "model": {"a": -torch.zeros(2)}}) == [".model.a"]
    assert different(state, {**state, "epoch": True}) == [".epoch"]
    assert different(state, {"model": {}}) == [": keys"]


@pytest.mark.parametrize(
    ("ended", "problem"),
    [
        (Ended(2, "", "error: seed=x: must be a whole number\n"), ""),
        (Ended(0, "done", "epoch 1/1 done\n"), ""),
        (Ended(None, "", ""), "not finished"),
        (Ended(1, "", "Traceback (most recent call last):\n"), "a traceback"),
        (Ended(-11, "", ""), "exit code -11"),
        (Ended(2, "", "error: seed=x\nerror: more\n"), "not one line"),
        (Ended(2, "", "error: something is wrong\n"), "names none of"),
        (Ended(2, "", "error: seed=\x1b[2J\n"), "an error that cannot be printed"),
        (Ended(0, "", "odd\n"), "finished, but printed errors"),
    ],
)
def test_ends_are_judged(ended, problem, tmp_path):
    found, _ = judge(Case("settings", "search.py", ["seed=x"], ["seed"]), ended, {}, tmp_path)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


@pytest.mark.parametrize(
    ("ended", "kind", "problem"),
    [
        (Ended(2, "", "epoch 1/3\nerror: run/a: cannot be written (No space left on device)\n"), "full", ""),
        (Ended(2, "", "error: run/a: cannot be written\n"), "", "exited with 2"),
        (Ended(1, "", "error: run/a: cannot be written\n"), "full", "exited with 1"),
        (Ended(2, "", "Traceback: run/a\n"), "full", "exited with 2"),
        (Ended(2, "", "error: No space left on device\n"), "full", "an error that does not name the file"),
        (Ended(None, "", ""), "small", "exited with None"),
    ],
)
def test_the_end_of_a_disk_fault_is_judged(ended, kind, problem, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    found = judge_disk_fault(ended, folder, kind)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
    (folder / "lock").touch()
    assert judge_disk_fault(ended, folder, kind)


def test_a_lost_file_is_noticed(tmp_path):
    ended = Ended(2, "", "error: seed=x\n")
    case = Case("settings", "search.py", [], ["seed"])
    assert judge(case, ended, {"thesis.tex": b"mine"}, tmp_path)[0] == "refused, but changed ['thesis.tex']"


def test_a_child_that_hangs_is_ended(tmp_path):
    """In a separate process: this one may have threads."""
    code = "import sys, time; from pathlib import Path; from tests.faults.child import Child; here = Path.cwd()\n"
    code += "print(Child(lambda: time.sleep(60), here, here / 'log').wait(0.2).code)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.stdout == "None\n", ended.stderr


def test_a_child_of_a_background_job_receives_ctrl_c(tmp_path):
    """A shell starts background jobs with SIGINT ignored."""
    code = "import signal; from pathlib import Path; from tests.faults.child import Child; here = Path.cwd()\n"
    code += "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    code += "print(Child(lambda: signal.raise_signal(signal.SIGINT), here, here / 'log').wait(9).code)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.stdout == "1\n", ended.stderr
