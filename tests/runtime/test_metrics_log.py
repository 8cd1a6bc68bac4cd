"""Metrics in JSON lines and TensorBoard events."""

import json
import os
import sys

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nas.core.errors import InputError
from nas.runtime.metrics_log import MetricsLog, read_metrics, read_scalars


def rows(folder) -> list[int]:
    return [row["epoch"] for row in read_metrics(folder / "metrics.jsonl")]


def test_rows_and_curves(tmp_path):
    tracker = MetricsLog(tmp_path)
    for epoch in range(3):
        tracker.scalars(epoch + 1, {"loss": 1.0 / (epoch + 1)})
        tracker.row({"epoch": epoch + 1, "loss": 1.0 / (epoch + 1)})
    tracker.close()
    assert rows(tmp_path) == [1, 2, 3]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]


def test_resuming_removes_rows_and_events_after_the_checkpoint(tmp_path):
    for start, stop in ((0, 3), (1, 2)):
        tracker = MetricsLog(tmp_path, start)
        assert rows(tmp_path) == list(range(1, start + 1))
        for epoch in range(start, stop):
            tracker.scalars(epoch + 1, {"loss": float(start)})
            tracker.row({"epoch": epoch + 1})
        tracker.close()
    assert rows(tmp_path) == [1, 2]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 0.0), (2, 1.0)]


def test_rows_without_tensorboard(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)  # importing it fails
    tracker = MetricsLog(tmp_path)
    tracker.scalars(1, {"loss": 1.0})
    tracker.picture(1, "cell", np.zeros((1, 1, 3), np.uint8))
    tracker.row({"epoch": 1})
    tracker.close()
    assert rows(tmp_path) == [1]
    assert not (tmp_path / "tensorboard").exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install tensorboard" in line


def test_only_complete_rows_are_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    good = [json.dumps({"epoch": 0}), json.dumps({"epoch": 1, "loss": None})]
    bad = ["", "[]", "3", '{"epoch": "x"}', '{"loss": 1}', "\x00\x00", '{"epoch": 2, "lo']
    path.write_text("\n".join([good[0], *bad[:-1], good[1], bad[-1]]))
    assert [row["epoch"] for row in read_metrics(path)] == [0, 1]


def test_a_write_failure_is_one_line(tmp_path):
    tracker = MetricsLog(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError, match=r"metrics\.jsonl: cannot be written \(Is a directory\)"):
        tracker.row({"epoch": 1})
    tracker.close()


def test_non_finite_values_become_null(tmp_path):
    tracker = MetricsLog(tmp_path)
    tracker.row({"epoch": 1, "loss": float("nan"), "lr": 0.1})
    tracker.close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"epoch": 1, "loss": null, "lr": 0.1}\n'


def test_a_removed_file_is_not_begun_anew(tmp_path):
    """Without its earlier rows it would look like the metrics of a shorter run."""
    tracker = MetricsLog(tmp_path)
    tracker.row({"epoch": 1})
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(InputError, match=r"metrics\.jsonl: cannot be written \(No such file or directory\)"):
        tracker.row({"epoch": 1})
    tracker.close()
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_pipe_among_the_events_is_not_waited_for(tmp_path):
    (tmp_path / "tensorboard").mkdir()
    os.mkfifo(tmp_path / "tensorboard/events.out.tfevents.1.x")
    with pytest.raises(InputError, match="is not a regular file"):
        read_scalars(tmp_path, "alpha")
