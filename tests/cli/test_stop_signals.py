"""Signals: the step ends, a checkpoint is written, the exit code is 128 + the signal's number."""

import json
import os
import signal
import time

import pytest

from nas.core.formatting import format_plural
from nas.runtime.metrics_log import read_metrics
from nas.storage.checkpoint import load_checkpoint
from tests.helpers.command_lines import FOREVER, LONG, ROOT, TINY
from tests.helpers.processes import output_of, resume_arguments, running, wait_until
from tests.helpers.runs import same_alphas


def test_a_search_stopped_after_a_step_and_resumed_ends_the_same(run, elsewhere, child_environment):
    folder = elsewhere / "stopped"
    with running(child_environment, str(ROOT / "search.py"), *LONG, f"run.dir={folder}") as process:
        wait_until((folder / "checkpoint.pt").exists, process)
        process.send_signal(signal.SIGTERM)
        out, complaints = output_of(process)
    assert process.returncode == 143
    assert complaints == ["SIGTERM: finishing this step and writing a checkpoint; a second signal stops at once"]
    assert "stopped by SIGTERM after " in out
    assert not (folder / "lock").exists()
    assert json.loads((folder / "result.json").read_text())["state"] == "stopped"
    assert run(*resume_arguments(out)).code == 0
    assert run(*LONG, "run.dir=whole").code == 0
    assert same_alphas(folder, elsewhere / "whole")
    assert [row["epoch"] for row in read_metrics(folder / "metrics.jsonl")] == [1, 2, 3]


STREAM = ["cell=darts_v2", "data=folder", "data.stream=true", "data.size=8", "data.workers=2", "channels=2", "cells=3"]
STREAM += ["batch_size=4", "epochs=500", "threads=1", "data.pad=0"]


@pytest.mark.parametrize(("name", "code"), [("INT", 130), ("TERM", 143)])
def test_a_signal_to_the_whole_group_as_ctrl_c_sends_it(name, code, pictures, elsewhere, child_environment):
    """The worker processes get it too; they print nothing and do not spoil the checkpoint."""
    folder = elsewhere / "stopped"
    words = [*STREAM, f"data.root={pictures}", f"run.dir={folder}"]
    with running(child_environment, str(ROOT / "retrain.py"), *words) as process:
        wait_until((folder / "checkpoint.pt").exists, process)
        os.killpg(process.pid, getattr(signal, f"SIG{name}"))
        out, complaints = output_of(process)
    assert (process.returncode, len(complaints)) == (code, 1), complaints
    assert f"resume={folder}" in out
    saved = load_checkpoint(folder / "checkpoint.pt")
    done = f"{format_plural(saved['epoch'], 'epoch')} and {format_plural(saved['step'], 'step')}"
    assert f"stopped by SIG{name} after {done}" in out


STUCK = """
import sys, time
from pathlib import Path
import nas.cli.search_command as cli
from nas.cli.search import main
import nas.search.loop as engine

def stuck(*arguments, **settings):
    Path("stuck").touch()
    time.sleep(60)

place = sys.argv.pop(1)
if place == "step":
    step = engine.weight_step
    engine.weight_step = lambda state, *more: step(state, *more) if state.epoch == 0 else stuck()
else:
    setattr(cli, place, stuck)
sys.argv[0] = "search.py"
main()
"""


def test_a_second_signal_ends_at_once(elsewhere, child_environment):
    with running(child_environment, "-c", STUCK, "step", *LONG, "run.dir=run") as process:
        wait_until((elsewhere / "stuck").exists, process)
        before = (elsewhere / "run/checkpoint.pt").read_bytes()
        process.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, complaints = output_of(process)
    assert process.returncode == 143
    assert complaints[-1] == "SIGTERM: stopped at once; the last checkpoint is intact"
    assert (elsewhere / "run/checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize(("place", "name", "code"), [("load_dataset", "TERM", 143), ("report_search", "INT", 130)])
def test_a_signal_outside_the_loop_ends_at_once(place, name, code, elsewhere, child_environment):
    with running(child_environment, "-c", STUCK, place, *TINY, "run.dir=run") as process:
        wait_until((elsewhere / "stuck").exists, process)
        process.send_signal(getattr(signal, f"SIG{name}"))
        _, complaints = output_of(process)
    assert process.returncode == code
    assert complaints == [f"stopped by SIG{name}; resume a run from its last checkpoint with resume=<its folder>"]
    assert (elsewhere / "run").exists() == (place != "load_dataset")
    assert not (elsewhere / "run/lock").exists()


def test_a_signal_ends_the_whole_sweep(elsewhere, child_environment):
    with running(child_environment, str(ROOT / "search.py"), "-m", *FOREVER, "seed=0,1") as process:
        wait_until((elsewhere / "runs/tiny-digits-seed0/checkpoint.pt").exists, process)
        process.send_signal(signal.SIGUSR1)  # as SLURM does if asked to
        out, _ = output_of(process)
    assert process.returncode == 128 + signal.SIGUSR1
    assert "resume=runs/tiny-digits-seed0" in out
    assert not (elsewhere / "runs/tiny-digits-seed1").exists()


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("warning_signal=KILL", ["warning_signal=KILL: must be HUP, USR1, USR2, XCPU, or null"]),
        ("checkpoint_every=1h", ["checkpoint_every='1h'", "number of steps (200), minutes (10min), or null"]),
        ("checkpoint_every=1.5", ["checkpoint_every=1.5: must be a whole number or a string or null"]),
        ("keep_checkpoints=0", ["keep_checkpoints=0", "1..1000"]),
        ("on_nan=ignore", ["on_nan=ignore: must be stop, skip or rollback"]),
    ],
)
def test_bad_settings(setting, parts, refused):
    refused([setting], parts)


def test_all_of_them_may_change_on_resume(run, elsewhere):
    assert run(*TINY, "run.dir=a", "max_minutes=1e-9").code == 0
    fault_tolerance = ["checkpoint_every=2", "keep_checkpoints=3", "on_nan=skip", "warning_signal=null"]
    assert run("resume=a", "max_minutes=null", *fault_tolerance).code == 0
    saved = [load_checkpoint(path) for path in sorted((elsewhere / "a").glob("checkpoint*.pt"))]
    assert len(saved) == 3


def test_a_diverged_run_exits_with_3_and_one_line(run, elsewhere):
    code, _, complaints = run(*TINY, "epochs=2", "weights.lr=1e30", "weights.clip_norm=1e30", "run.dir=a")
    assert (code, len(complaints)) == (3, 1)
    assert complaints[0].startswith("error: the run diverged in epoch 1, step ")
    assert not (elsewhere / "a/lock").exists()
