"""The training loop is repeatable and interruptible, and writes the promised files."""

import json
from dataclasses import replace

import pytest
import torch

from nas.core.errors import InputError
from nas.core.run_files import BEST, CHECKPOINT
from nas.data import AugmentSettings
from nas.engine import compile as compile_module
from nas.graph.zoo import load_genotype
from nas.runtime.metrics_log import read_metrics
from nas.storage.checkpoint import load_checkpoint
from nas.train.loop import run_training_loop
from nas.train.result import write_train_result
from nas.train.trained_network import load_trained
from tests.helpers.runs import StopAfter, metrics, same, train_state
from tests.helpers.train_settings import SMALL

PLAIN = {"ema": None, "drop_path": 0.0, "auxiliary_weight": 0.0, "label_smoothing": 0.0, "warmup_epochs": 0}


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(run_training, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run_training(tmp_path / name, seed=seed)
    assert same(train_state(tmp_path / "a"), train_state(tmp_path / "b"))
    assert metrics(tmp_path / "a") == metrics(tmp_path / "b")
    assert not torch.equal(train_state(tmp_path / "a")["stem.0.weight"], train_state(tmp_path / "c")["stem.0.weight"])


@pytest.mark.parametrize(
    "changes", [{}, {"channels_last": True, "precision": "bf16"}, PLAIN], ids=["everything on", "bf16", "plain"]
)
def test_interrupted_anywhere_it_ends_as_if_it_had_not_been(run_training, tmp_path, changes):
    """6 steps and 12 evaluation batches an epoch: stopped between steps, at its end, and during evaluation."""
    whole = run_training(tmp_path / "whole", **changes)
    assert whole.epoch == SMALL.epochs
    places = []
    for steps in (2, 0, 4, 5, 14):
        stopped = run_training(tmp_path / "parts", StopAfter(steps), resume=True, **changes)
        places.append((stopped.epoch, stopped.step))
    assert places == [(0, 2), (0, 2), (0, 6), (0, 6), (1, 2)]
    parts = run_training(tmp_path / "parts", resume=True, **changes)
    assert same(train_state(tmp_path / "whole"), train_state(tmp_path / "parts"))
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    assert (parts.test_accuracy, parts.best_accuracy) == (whole.test_accuracy, whole.best_accuracy)
    assert same(*(load_checkpoint(tmp_path / name / BEST)["model"] for name in ("whole", "parts")))


def test_what_a_run_leaves(run_training, tmp_path):
    trained = run_training(tmp_path, epochs=3, eval_every=2)
    found = write_train_result(trained, tmp_path, 0)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["test_accuracy"] is not None for row in rows] == [False, True, True]  # the last one always
    assert [row["drop_path"] for row in rows] == pytest.approx([0, 0.4 / 3, 0.8 / 3])
    assert all(row["images_per_second"] > 0 for row in rows)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["test_accuracy"] == rows[-1]["test_accuracy"]
    assert result["best_test_accuracy"] == max(row["test_accuracy"] or 0 for row in rows)
    assert result["best_epoch"] == load_checkpoint(tmp_path / BEST)["epoch"]
    assert (result["cell"], result["params"]) == ("darts_v2", found.params)
    assert load_genotype(tmp_path / "genotype.yaml") == load_genotype("darts_v2")
    assert list((tmp_path / "tensorboard").iterdir())


def test_it_learns(run_training, tmp_path):
    """With a learning rate at which versions of torch differ little: 0.64 to 0.65 were right, 0.1 are by chance."""
    trained = run_training(tmp_path, epochs=12, channels=4, **PLAIN | {"weights": replace(SMALL.weights, lr=0.02)})
    losses = [row["train_loss"] for row in metrics(tmp_path)]
    assert losses[-1] < 0.5 * losses[0]
    assert trained.test_accuracy > 0.45


def test_channels_last_bf16_and_the_other_stem_train_too(run_training, tmp_path):
    run_training(tmp_path, epochs=1, warmup_epochs=0, channels_last=True, precision="bf16", stem="imagenet")
    assert all(value.isfinite().all() for value in train_state(tmp_path).values())
    trained = run_training(tmp_path, resume=True, epochs=1, warmup_epochs=0, channels_last=True, stem="imagenet")
    write_train_result(trained, tmp_path, 0)
    network, _ = load_trained(tmp_path / "weights.safetensors")
    assert same(network.state_dict(), load_trained(tmp_path / CHECKPOINT)[0].state_dict())


def test_a_compiler_that_fails_is_one_line(run_training, tmp_path, monkeypatch):
    from torch._dynamo.exc import TorchDynamoException

    def broken(model):
        def run(images):
            raise TorchDynamoException("no C++ compiler\nand a long story")

        return run

    monkeypatch.setattr(compile_module.torch, "compile", broken)
    with pytest.raises(InputError, match=r"compile=true: torch\.compile fails here \(no C\+\+ compiler\)"):
        run_training(tmp_path, compile=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 4}, r"its channels is another \(2, not 4\)"),
        ({"auxiliary_weight": 0.0}, "its auxiliary is another"),
        ({"cell": "darts_v1"}, "its genotype is another"),
        ({"ema": None}, "one averages its weights"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(run_training, tmp_path, changes, message):
    run_training(tmp_path, StopAfter(1))
    with pytest.raises(InputError, match=message):
        run_training(tmp_path, resume=True, **changes)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 100])
def test_a_damaged_checkpoint_is_one_line(run_training, tmp_path, damage):
    run_training(tmp_path, StopAfter(1))
    (tmp_path / CHECKPOINT).write_bytes(damage((tmp_path / CHECKPOINT).read_bytes()))
    with pytest.raises(InputError, match=r"checkpoint\.pt: not a checkpoint, or cut off or altered"):
        run_training(tmp_path, resume=True)


def test_one_class_is_refused_and_unused_images_are_named(digits, tmp_path, capsys):
    how = {"augment": None, "device": torch.device("cpu")}
    ones = digits.train.subset((digits.train.labels == 1).nonzero().flatten()[:8])
    with pytest.raises(InputError, match="all 8 images are of one class, '1'"):
        run_training_loop(load_genotype("darts_v2"), replace(digits, train=ones), SMALL, tmp_path / "a", **how)
    both = replace(digits, train=digits.train.subset(torch.arange(40)), test=None, valid=ones)
    run_training_loop(load_genotype("darts_v2"), both, replace(SMALL, epochs=1, warmup_epochs=0), tmp_path / "b", **how)
    assert "warning: 8 validation images are for the alphas of a search" in capsys.readouterr().err


def test_one_image_is_too_few(digits, tmp_path):
    few = replace(digits, train=digits.train.subset(torch.tensor([0])))
    with pytest.raises(InputError, match="1 training image: at least 2"):
        run_training_loop(
            load_genotype("darts_v2"), few, SMALL, tmp_path, augment=AugmentSettings(pad=1), device=torch.device("cpu")
        )
