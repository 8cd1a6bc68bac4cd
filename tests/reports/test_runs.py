"""The list of runs: finished, stopped, running, interrupted, diverged and damaged ones."""

import csv
import json
import os
import socket

import pytest
import yaml

import nas
from nas.cli.main import main
from nas.core.errors import InputError
from nas.runtime.lock import folder_lock, holder_runs

CONFIG = {"format": 2, "space": "tiny", "method": "darts", "data": {"name": "digits"}, "seed": 1, "epochs": 4}
ROWS = [{"epoch": epoch, "valid_accuracy": epoch / 10, "seconds": 60.0 * epoch} for epoch in (1, 2)]
RESULT = {"format": 2, "kind": "search", "space": "tiny", "data": "digits", "seed": 1, "epochs": 4, "seconds": 300.0}
RESULT |= {"valid_accuracy": 0.9, "settled": False, "network": {"params": 3_400_000, "macs": 500_000_000}}


@pytest.fixture
def made(tmp_path):
    """Write the files of runs into a folder, as the commands and Python write them."""

    def make(name, config=CONFIG, rows=ROWS, **result):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        if result:
            (folder / "result.json").write_text(json.dumps(result))
        return folder

    make("b/finished", **RESULT, state="finished")
    make("a/stopped", **{**RESULT, "epochs": 2, "valid_accuracy": None}, state="stopped")
    make("diverged", **{"epochs": 1}, state="diverged", reason="the run diverged in epoch 2")
    make("interrupted")
    make("damaged", config="space: [")
    make("old", {"cell": "darts_v2", "epochs": 2}, [{"epoch": 0}, {"epoch": 1}], test_accuracy=0.7, epochs=2)
    make("running")
    return tmp_path / "runs"


def test_every_run_is_a_line(made):
    with folder_lock(made / "running"):
        runs = {run.run: run for run in nas.list_runs(made)}
    states = {name: run.state for name, run in runs.items()}
    names = {"finished", "stopped", "diverged", "interrupted", "damaged", "running"}
    assert states == {**{name: name for name in names - {"finished", "stopped"}}, "a/stopped": "stopped"} | {
        "b/finished": "finished",
        "old": "finished",
    }
    done = runs["b/finished"]
    assert (done.accuracy, done.params, done.macs, done.minutes) == (0.9, 3_400_000, 500_000_000, 5.0)
    assert (done.kind, done.space, done.method, done.data, done.seed) == ("search", "tiny", "darts", "digits", 1)
    now = runs["running"]
    assert (now.epochs, now.of_epochs, now.accuracy, now.minutes, now.params) == (2, 4, 0.2, 2.0, None)
    assert (runs["old"].kind, runs["old"].accuracy, runs["old"].epochs) == ("retraining", 0.7, 2)
    assert "config.yaml" in runs["damaged"].problem
    assert runs["diverged"].problem == "the run diverged in epoch 2"


def test_sorted_table_and_csv(made, capsys):
    best = [run.run for run in nas.list_runs(made, sort="accuracy")]
    assert best[:3] == ["b/finished", "old", "a/stopped"]
    assert best[-1] == "damaged"  # no accuracy
    main(["runs", str(made), "--sort", "accuracy"])
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "state", "epochs", "accuracy", "params", "MACs", "minutes"]
    assert " ".join(first.split()) == "b/finished finished, not settled 4 90.00% 3.40 M 500 M 5.0"
    main(["runs", str(made), "--csv"])
    rows = {row["run"]: row for row in csv.DictReader(capsys.readouterr().out.splitlines())}
    assert rows["b/finished"]["macs"] == "500000000"
    with pytest.raises(InputError, match="sort='accurate': did you mean accuracy"):
        nas.list_runs(made, sort="accurate")
    with pytest.raises(InputError, match="no such folder"):
        nas.list_runs(made / "nowhere")


@pytest.mark.parametrize(
    ("pid", "host", "runs"),
    [(lambda: 2**22 + 5, None, False), (os.getpid, None, False), (lambda: 1, "elsewhere", True)],
    ids=["gone", "number reused", "far away"],
)
def test_what_a_killed_run_leaves_is_not_running(tmp_path, pid, host, runs):
    holder = {"pid": pid(), "host": host or socket.gethostname(), "since": "2026-11-01T00:00:00+00:00"}
    (tmp_path / "lock").write_text(json.dumps(holder))
    assert holder_runs(tmp_path) is runs
