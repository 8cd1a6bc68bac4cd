"""The shared loop: checkpoints within an epoch, damaged checkpoints, non-finite numbers."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

import nas.engine.loop as shared
from nas.core.errors import DivergedError, InputError
from nas.core.run_files import CHECKPOINT
from nas.data.batches import Batches
from nas.engine.fault_tolerance import FaultTolerance
from nas.engine.nonfinite import MAX_ROLLBACKS, MAX_SKIPPED
from nas.storage.checkpoint import load_checkpoint
from tests.helpers.runs import StopAfter, metrics, same, search_state, train_state
from tests.helpers.train_settings import SMALL

STEPS = {"search": 3, "training": 6}


class Kill(BaseException):
    """Stand-in for SIGKILL: nothing more is written."""


@pytest.fixture(params=STEPS)
def kind(request):
    return request.param


@pytest.fixture
def run(kind, request):
    return request.getfixturevalue({"search": "run_search", "training": "run_training"}[kind])


def state(kind: str, folder: Path) -> dict[str, torch.Tensor]:
    return {"search": search_state, "training": train_state}[kind](folder)


@pytest.fixture
def poison(monkeypatch):
    """Make the images of a stream NaN at given (epoch, step)s."""

    def spoil(stream: str, *places: tuple[int, int]) -> None:
        prepared = Batches._augment

        def spoilt(self, images, epoch, step):
            found = prepared(self, images, epoch, step)
            return found * math.nan if self.stream == stream and (epoch, step) in places else found

        monkeypatch.setattr(Batches, "_augment", spoilt)

    return spoil


@pytest.mark.parametrize("every", [1, 2, "0.0000001min"])
def test_killed_behind_a_checkpoint_within_an_epoch_it_ends_the_same(every, kind, run, tmp_path, monkeypatch):
    whole, parts, written = tmp_path / "whole", tmp_path / "parts", []
    run(whole)
    save = shared.save_with_retention

    def save_and_die(path, saved, keep):
        save(path, saved, keep)
        written.append((saved["epoch"], saved["step"]))
        if saved["step"]:
            raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(shared, "save_with_retention", save_and_die)
        for _ in range(2):
            with pytest.raises(Kill):
                run(parts, resume=True, fault_tolerance=FaultTolerance(checkpoint_every=every))
    behind_two = {"search": [(0, 2), (1, 0), (1, 2)], "training": [(0, 2), (0, 4)]}
    assert written == (behind_two[kind] if every == 2 else [(0, 1), (0, 2)])
    run(parts, resume=True)
    assert same(state(kind, whole), state(kind, parts))
    assert metrics(whole) == metrics(parts)


def test_a_damaged_newest_one_is_passed_over(kind, run, tmp_path, capsys):
    run(tmp_path / "whole")
    run(
        tmp_path / "parts",
        StopAfter(STEPS[kind] + 20),
        fault_tolerance=FaultTolerance(checkpoint_every=1, keep_checkpoints=2),
    )
    path = tmp_path / "parts" / CHECKPOINT
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    older = load_checkpoint(tmp_path / "parts/checkpoint-1.pt")
    capsys.readouterr()
    run(tmp_path / "parts", StopAfter(0), resume=True)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert line.endswith("checkpoint.pt: not a checkpoint, or cut off or altered since it was written; "
                         "checkpoint-1.pt is used instead")  # fmt: skip
    found = load_checkpoint(path)
    assert (found["epoch"], found["step"]) == (older["epoch"], older["step"])
    run(tmp_path / "parts", resume=True)
    assert same(state(kind, tmp_path / "whole"), state(kind, tmp_path / "parts"))
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


def test_if_none_is_whole_it_is_refused(run, tmp_path):
    run(tmp_path, StopAfter(2), fault_tolerance=FaultTolerance(checkpoint_every=1))
    for name in (CHECKPOINT, "checkpoint-1.pt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"checkpoint\.pt: not a checkpoint.*checkpoint-1\.pt: not a checkpoint"):
        run(tmp_path, resume=True)


def test_stop_keeps_the_last_checkpoint_and_says_where(kind, run, poison, tmp_path):
    run(tmp_path / "good", StopAfter(1))
    poison("train", (0, 1))
    with pytest.raises(DivergedError) as info:
        run(tmp_path / "bad", fault_tolerance=FaultTolerance(checkpoint_every=1))
    assert str(info.value) == (
        "the run diverged in epoch 1, step 2: the loss (nan) is not finite; the last checkpoint is "
        f"{tmp_path}/bad/checkpoint.pt, after 0 epochs and 1 step; "
        "a lower weights.lr may help, or on_nan=skip or rollback"
    )
    assert same(state(kind, tmp_path / "good"), state(kind, tmp_path / "bad"))
    with pytest.raises(DivergedError, match="there is no checkpoint yet"):
        run(tmp_path / "none")


def test_a_state_that_is_not_finite_is_not_written(kind, run, tmp_path, monkeypatch):
    """As when weights overflow in the optimizer: the loss shows it only in the next step."""
    run(tmp_path, StopAfter(2), fault_tolerance=FaultTolerance(checkpoint_every=1))
    before = (tmp_path / CHECKPOINT).read_bytes()
    check = shared.check_state_finite

    def overflow(saved):
        saved["model"]["classifier.bias"][3] = math.inf  # shares its memory with the network
        check(saved)

    monkeypatch.setattr(shared, "check_state_finite", overflow)
    with pytest.raises(DivergedError, match=r"step 4: model\.classifier\.bias, before that step, is not finite"):
        run(tmp_path, resume=True, fault_tolerance=FaultTolerance(checkpoint_every=1))
    assert (tmp_path / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "stream"), [("search", "train"), ("search", "alphas"), ("training", "train")], indirect=["kind"]
)
def test_a_skipped_step_changes_nothing(stream, kind, run, poison, tmp_path):
    run(tmp_path / "before", StopAfter(2))
    poison(stream, (0, 2))
    run(tmp_path / "behind", StopAfter(3), fault_tolerance=FaultTolerance(on_nan="skip"))
    assert same(state(kind, tmp_path / "before"), state(kind, tmp_path / "behind"))
    saved = [load_checkpoint(tmp_path / name / CHECKPOINT) for name in ("before", "behind")]
    assert saved[0]["metrics"] == saved[1]["metrics"]
    assert [s["step"] for s in saved] == [2, 3]
    assert saved[1]["nonfinite"] == {"skipped": 1, "in_a_row": 1, "rollbacks": 0}


def test_skipped_steps_are_counted_and_an_interruption_changes_nothing(kind, run, poison, tmp_path, capsys):
    poison("train", (0, 1), (1, 0), (1, 2))
    fault_tolerance = FaultTolerance(on_nan="skip")
    run(tmp_path / "whole", fault_tolerance=fault_tolerance)
    assert [row["skipped"] for row in metrics(tmp_path / "whole")] == [1, 2]
    assert "| skipped steps: 2" in capsys.readouterr().err
    for steps in (2, STEPS[kind], 1):
        run(tmp_path / "parts", StopAfter(steps), resume=True, fault_tolerance=fault_tolerance)
    run(tmp_path / "parts", resume=True, fault_tolerance=fault_tolerance)
    assert same(state(kind, tmp_path / "whole"), state(kind, tmp_path / "parts"))
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


def test_too_many_skipped_steps_in_a_row(run, poison, tmp_path):
    poison("train", *((epoch, step) for epoch in range(30) for step in range(6)))
    with pytest.raises(DivergedError, match=r"the loss \(nan\) is not finite \| skipped steps: "):
        run(tmp_path, epochs=30, fault_tolerance=FaultTolerance(on_nan="skip"))
    assert load_checkpoint(tmp_path / CHECKPOINT)["nonfinite"]["in_a_row"] <= MAX_SKIPPED


@pytest.fixture
def diverges_at_the_full_rate(kind, monkeypatch):
    """Step 2 of epoch 2 is not finite unless the learning rate was halved."""
    import nas.search.loop as search
    import nas.train.loop as train

    module, name = (search, "weight_step") if kind == "search" else (train, "train_step")
    step = getattr(module, name)

    def diverging(state, *arguments):
        if (state.epoch, state.step, state.nonfinite.rollbacks) == (1, 1, 0):
            raise shared.NotFiniteError("the loss (nan)")
        return step(state, *arguments)

    monkeypatch.setattr(module, name, diverging)


@pytest.mark.usefixtures("diverges_at_the_full_rate")
def test_a_rollback_halves_the_learning_rate_and_doubles_no_row(kind, run, tmp_path, capsys):
    run(tmp_path / "whole", fault_tolerance=FaultTolerance(on_nan="rollback"))
    assert "back to epoch 2, step 0, with half the learning rate (1 of at most 5 times)" in capsys.readouterr().err
    rows = metrics(tmp_path / "whole")
    assert [row["epoch"] for row in rows] == [1, 2]
    full = {"search": 0.013, "training": SMALL.weights.lr}[kind]
    assert rows[1]["lr"] == pytest.approx(full / 2, rel=1e-9)
    saved = load_checkpoint(tmp_path / "whole" / CHECKPOINT)
    assert saved["nonfinite"]["rollbacks"] == 1
    optimizer = saved["weight_optimizer" if kind == "search" else "optimizer"]
    assert optimizer["param_groups"][0]["lr"] == rows[1]["lr"]
    run(
        tmp_path / "parts", StopAfter(30), fault_tolerance=FaultTolerance(on_nan="rollback")
    )  # in its last evaluation, or at its end
    run(tmp_path / "parts", resume=True, fault_tolerance=FaultTolerance(on_nan="rollback"))
    assert same(state(kind, tmp_path / "whole"), state(kind, tmp_path / "parts"))
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


def test_a_rollback_takes_back_the_row_of_an_epoch_that_ended_badly(run, tmp_path, monkeypatch):
    check = shared.check_state_finite

    def diverged(saved):
        if (saved["epoch"], saved["nonfinite"]["rollbacks"]) == (2, 0):
            raise shared.NotFiniteError("model.classifier.bias")
        check(saved)

    monkeypatch.setattr(shared, "check_state_finite", diverged)
    run(tmp_path, fault_tolerance=FaultTolerance(on_nan="rollback"))
    assert [row["epoch"] for row in metrics(tmp_path)] == [1, 2]


def test_rollbacks_end_some_day_and_need_no_checkpoint_to_begin_with(run, poison, tmp_path, capsys):
    poison("train", (0, 1))
    with pytest.raises(DivergedError, match=f"rollbacks: {MAX_ROLLBACKS}; the last checkpoint is .*, after 0 epochs"):
        run(tmp_path, fault_tolerance=FaultTolerance(on_nan="rollback"))
    assert capsys.readouterr().err.count("back to epoch 1, step 0") == MAX_ROLLBACKS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"checkpoint_every": "soon"}, "checkpoint_every='soon': must be a number of steps"),
        ({"keep_checkpoints": 0}, r"keep_checkpoints=0: must lie in 1\.\.1000"),
        ({"on_nan": "ignore"}, "on_nan=ignore: must be stop, skip or rollback"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        FaultTolerance(**settings)


def test_the_settings_are_those_of_the_commands():
    from nas.cli.config import RunConfig

    assert {field.name for field in dataclasses.fields(FaultTolerance)} <= {
        field.name for field in dataclasses.fields(RunConfig)
    }
