"""``result.json``: what a run is the result of, and how it ended."""

import json

import pytest
import torch

from nas.core.errors import DivergedError, InputError
from nas.engine.nonfinite import NotFiniteError
from nas.engine.run_result import remove_unfinished_result, result_state, write_result
from nas.reports.run_folder import is_finished
from tests.helpers.runs import StopAfter


def result(folder):
    return json.loads((folder / "result.json").read_text())


def test_stopped_then_running_then_finished(run_search, tmp_path):
    run_search(tmp_path, StopAfter(3))
    found = result(tmp_path)
    assert (found["format"], found["kind"], found["space"], found["method"]) == (2, "search", "tiny", "darts")
    assert (found["data"], found["seed"], found["state"], found["settled"]) == ("digits", 3, "stopped", False)
    assert found["versions"]["torch"] == str(torch.__version__)
    assert not is_finished(tmp_path)
    assert run_search(tmp_path, resume=True).finished
    assert result_state(tmp_path) is None  # who called the search writes the result of a finished one


def test_divergence_is_recorded(run_training, tmp_path, monkeypatch):
    def diverge(*_: object) -> None:
        raise NotFiniteError("the loss (nan)")

    monkeypatch.setattr("nas.train.loop.train_step", diverge)
    with pytest.raises(DivergedError):
        run_training(tmp_path, epochs=2)
    found = result(tmp_path)
    assert (found["state"], found["kind"], found["cell"], found["epochs"]) == ("diverged", "retraining", "darts_v2", 0)
    assert "diverged in epoch 1" in found["reason"]
    assert not is_finished(tmp_path)


@pytest.mark.parametrize(("text", "state"), [("{", None), ("[]", None), ("{}", "finished"), ('{"state": "x"}', None)])
def test_state_of_other_files(tmp_path, text, state):
    (tmp_path / "result.json").write_text(text)
    assert result_state(tmp_path) == state


def test_a_finished_result_outlives_a_session_that_only_repeats_it(tmp_path):
    write_result(tmp_path, "finished", {"kind": "search"}, {})
    remove_unfinished_result(tmp_path)
    assert is_finished(tmp_path)
    write_result(tmp_path, "diverged", {"kind": "search"}, {})
    remove_unfinished_result(tmp_path)
    assert not (tmp_path / "result.json").exists()


def test_a_refused_resume_leaves_the_result(run_search, tmp_path):
    run_search(tmp_path, StopAfter(1))
    before = (tmp_path / "result.json").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(InputError):
        run_search(tmp_path, resume=True)
    assert (tmp_path / "result.json").read_bytes() == before
