"""Running means, and the files that they are written to."""

import json

import pytest
import torch
import torch.nn.functional as F
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nas.core.errors import InputError
from nas.engine.running_metrics import RunningMetrics
from nas.runtime.metrics_log import MetricsLog, read_metrics

CPU = torch.device("cpu")


def test_a_tally_is_the_mean_over_images_not_over_batches():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(17, 5, generator=generator)
    labels = torch.randint(5, (17,), generator=generator)
    metrics = RunningMetrics(CPU)
    for part in (slice(0, 8), slice(8, 16), slice(16, 17)):
        metrics.add(F.cross_entropy(logits[part], labels[part]), logits[part], labels[part])
    loss, accuracy = metrics.read()
    assert loss == pytest.approx(F.cross_entropy(logits.double(), labels).item(), rel=1e-6)
    assert accuracy == (logits.argmax(1) == labels).double().mean().item()


def test_a_tally_goes_on_from_its_sums():
    logits, labels = torch.eye(3), torch.tensor([0, 1, 0])
    metrics = RunningMetrics(CPU)
    metrics.add(torch.tensor(0.5), logits, labels)
    second = RunningMetrics(CPU, metrics.sums.tolist())
    for each in (metrics, second):
        each.add(torch.tensor(1.5), logits, labels)
    assert second.read() == metrics.read() == (1.0, 2 / 3)


def test_an_empty_tally_has_no_mean():
    assert all(value != value for value in RunningMetrics(CPU).read())


def test_bfloat16_and_gradients_are_taken():
    logits = torch.randn(4, 3, dtype=torch.bfloat16, requires_grad=True)
    metrics = RunningMetrics(CPU)
    metrics.add(F.cross_entropy(logits.float(), torch.zeros(4, dtype=torch.int64)).detach(), logits, torch.zeros(4))
    assert not metrics.sums.requires_grad


def rows(folder) -> list[int]:
    return [row["epoch"] for row in read_metrics(folder / "metrics.jsonl")]


def test_rows_and_curves(tmp_path):
    tracker = MetricsLog(tmp_path)
    for epoch in range(3):
        tracker.scalars(epoch + 1, {"loss": 1.0 / (epoch + 1)})
        tracker.row({"epoch": epoch, "loss": 1.0 / (epoch + 1)})
    tracker.close()
    assert rows(tmp_path) == [0, 1, 2]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]


def test_going_on_takes_back_what_the_checkpoint_does_not_know(tmp_path):
    for start, stop in ((0, 3), (1, 2)):
        tracker = MetricsLog(tmp_path, start)
        assert rows(tmp_path) == list(range(start))
        for epoch in range(start, stop):
            tracker.scalars(epoch + 1, {"loss": float(start)})
            tracker.row({"epoch": epoch})
        tracker.close()
    assert rows(tmp_path) == [0, 1]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 0.0), (2, 1.0)]


def test_only_whole_rows_are_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    good = [json.dumps({"epoch": 0}), json.dumps({"epoch": 1, "loss": None})]
    bad = ["", "[]", "3", '{"epoch": "x"}', '{"loss": 1}', "\x00\x00", '{"epoch": 2, "lo']
    path.write_text("\n".join([good[0], *bad[:-1], good[1], bad[-1]]))
    assert [row["epoch"] for row in read_metrics(path)] == [0, 1]


def test_a_row_that_cannot_be_written_is_one_line(tmp_path):
    tracker = MetricsLog(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError, match=r"metrics\.jsonl: cannot be written \(Is a directory\)"):
        tracker.row({"epoch": 0})
    tracker.close()


def test_a_figure_that_is_not_finite_is_null(tmp_path):
    tracker = MetricsLog(tmp_path)
    tracker.row({"epoch": 0, "loss": float("nan"), "lr": 0.1})
    tracker.close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"epoch": 0, "loss": null, "lr": 0.1}\n'
