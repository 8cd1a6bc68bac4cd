"""Sweeps: a failed job does not end them, and the same command runs only what is missing or failed."""

import json

import pytest

from nas.cli.sweep import job_settings, swept_keys
from nas.core.run_names import run_name, swept_name
from tests.helpers.command_lines import TINY

SWEEP = ["-m", *TINY, "epochs=1,0"]


def test_a_sweep_of_two_jobs_with_one_failing_repeated(run, elsewhere):
    folder = elsewhere / "runs/tiny-digits-seed0-epochs1"
    code, out, complaints = run(*SWEEP)
    assert (code, complaints) == (2, ["error: epochs=0: must be at least 1"])
    table = out[out.index("\nrun ") :].splitlines()
    assert table[2].split()[:2] == ["runs/tiny-digits-seed0-epochs1", "finished,"]
    assert table[3:5] == ["sweep of 2 jobs: 1 failed", "failed: epochs=0: epochs=0: must be at least 1"]
    assert table[5] == "the same command again runs only what is missing or failed"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    code, out, _ = run(*SWEEP)
    assert code == 2
    assert out.splitlines()[0] == "epochs=1: already finished in runs/tiny-digits-seed0-epochs1"
    assert "searching" not in out
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    result = json.loads((folder / "result.json").read_text()) | {"state": "stopped"}
    (folder / "result.json").write_text(json.dumps(result))
    assert "run folder: runs/tiny-digits-seed0-epochs1\n" in run(*SWEEP).out  # resumed in place
    code, out, _ = run(*SWEEP[:-1], "epochs=1,0", "batch_size=8")  # other settings: another run
    assert "run folder: runs/tiny-digits-seed0-epochs1-2\n" in out


def test_what_varies_is_found_among_the_arguments():
    words = [
        "-m",
        "space=darts,tiny",
        "seed=0,1",
        "alphas.lr=1e-3,3e-3",
        "epochs=range(1,3)",
        "cells=3",
        "a=[1,2]",
        "=",
    ]
    assert swept_keys(words) == ["space", "seed", "alphas.lr", "epochs"]
    assert job_settings(["+alphas.lr=0.1", "cells=3"], ["alphas.lr", "seed"]) == {"alphas.lr": "0.1"}


@pytest.mark.parametrize(
    ("title", "data", "seed", "name"),
    [
        ("darts", "digits", 0, "darts-digits-seed0"),
        ("retrain-tiny-digits-seed0", "digits", 0, "retrain-tiny-digits-seed0"),
        ("retrain-tiny-digits-seed0", "digits", 1, "retrain-tiny-digits-seed0-seed1"),
        ("retrain-tiny-digits-seed0", "cifar10", 0, "retrain-tiny-digits-seed0-cifar10-seed0"),
    ],
)
def test_names_do_not_stutter(title, data, seed, name):
    assert run_name(title, data, seed) == name


def test_swept_settings_are_in_the_name():
    assert swept_name("a-seed0", {"space": "darts", "seed": "0"}) == "a-seed0"
    assert swept_name("a-seed0", {"alphas.lr": "3e-3", "epochs": "7"}) == "a-seed0-alphas.lr3e-3-epochs7"
    odd, other = (swept_name("a", {"ops": value}) for value in ("b/c.py", "b_c.py"))
    assert odd.startswith("a-opsb_c.py-")
    assert other == "a-opsb_c.py"
    assert len(swept_name("a", {"ops": "x" * 300})) < 100
