"""Formats of run folders: those of before are read and continued as they were written."""

import json

import pytest
import torch

from nas.core.errors import InputError
from nas.core.run_files import RESULT
from nas.reports.run_folder import epochs_done, read_result
from nas.runtime.metrics_log import MetricsLog, read_metrics
from nas.runtime.run_format import run_format
from nas.search.alpha_log import append_alphas, read_alphas

# Format 1, as written before there was a key: two epochs, counted from 0, the second of which was the best.
CONFIG = {"config.yaml": "space: tiny\nseed: 0\n", "settings.json": '{"function": "run_search", "space": "tiny"}'}
ROWS = '{"epoch": 0, "train_loss": 2.0}\n{"epoch": 1, "train_loss": 1.0}\n'
ALPHAS = '{"epoch": 0, "normal": [[0.0]]}\n{"epoch": 1, "normal": [[1.0]]}\n'


@pytest.fixture(params=CONFIG)
def old(tmp_path, request):
    (tmp_path / request.param).write_text(CONFIG[request.param])
    (tmp_path / "metrics.jsonl").write_text(ROWS)
    (tmp_path / "alphas.jsonl").write_text(ALPHAS)
    (tmp_path / RESULT).write_text(json.dumps({"test_accuracy": 0.5, "best_epoch": 1}))
    return tmp_path


def test_a_folder_of_format_1_is_read_with_epochs_from_1(old):
    assert run_format(old) == 1
    assert [row["epoch"] for row in read_metrics(old / "metrics.jsonl")] == [1, 2]
    assert {epoch: alphas["normal"].item() for epoch, alphas in read_alphas(old, ["normal"]).items()} == {1: 0, 2: 1}
    assert epochs_done(old) == read_result(old)["best_epoch"] == 2


def test_a_run_of_format_1_continues_in_it(old):
    log = MetricsLog(old, epochs=1)  # the checkpoint is older than the second row
    log.row({"epoch": 2, "train_loss": 0.5})
    log.close()
    append_alphas(old, 3, {"normal": torch.tensor([[2.0]])})
    first, second = (json.loads(line) for line in (old / "metrics.jsonl").read_text().splitlines())
    assert (first["epoch"], second) == (0, {"epoch": 1, "train_loss": 0.5})
    assert [json.loads(line)["epoch"] for line in (old / "alphas.jsonl").read_text().splitlines()] == [0, 1, 2]
    assert [row["epoch"] for row in read_metrics(old / "metrics.jsonl")] == [1, 2]


def test_a_new_folder_counts_from_1(tmp_path):
    MetricsLog(tmp_path).row({"epoch": 1})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"epoch": 1}
    (tmp_path / "config.yaml").write_text("format: 2\n")
    assert [row["epoch"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1]
    (tmp_path / RESULT).write_text('{"format": 2, "best_epoch": 1}')
    assert read_result(tmp_path)["best_epoch"] == 1


@pytest.mark.parametrize("given", ["3", "0", "'2'", "true", "null"])
def test_a_later_format_is_refused(tmp_path, given):
    (tmp_path / "config.yaml").write_text(f"format: {given}\n")
    with pytest.raises(InputError, match=r"config\.yaml: format=.*allowed: 1\.\.2"):
        run_format(tmp_path)
