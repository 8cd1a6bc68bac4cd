"""The search loop is repeatable and interruptible, and writes the promised files."""

import copy
import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import nas
from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT
from nas.data import AugmentSettings
from nas.graph.arch_string import format_arch_string
from nas.graph.zoo import load_genotype
from nas.runtime.metrics_log import read_metrics
from nas.search.loop import search_data
from nas.search.settings import AlphaSettings
from nas.search.state import init_search_state, weights_learning_rate
from nas.search.steps import alpha_step, weight_step
from tests.helpers.runs import StopAfter, metrics, same, search_state
from tests.helpers.search_settings import SETTINGS


@pytest.mark.parametrize("order", [1, 2])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(run_search, tmp_path, order):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run_search(tmp_path / name, order=order, seed=seed, epochs=1)
    assert same(search_state(tmp_path / "a"), search_state(tmp_path / "b"))
    assert metrics(tmp_path / "a") == metrics(tmp_path / "b")
    assert not torch.equal(search_state(tmp_path / "a")["alpha_normal"], search_state(tmp_path / "c")["alpha_normal"])


@pytest.mark.parametrize("order", [1, 2])
def test_interrupted_anywhere_it_ends_as_if_it_had_not_been(run_search, tmp_path, order):
    """3 steps and 2 evaluation batches an epoch: stopped within it, at its end, and during evaluation."""
    finished = run_search(tmp_path / "whole", order=order)
    assert finished.finished
    result = run_search(tmp_path / "parts", StopAfter(2), order=order)
    assert not result.finished
    assert (result.epoch, result.step) == (0, 2)
    for steps in (0, 2, 3, 1):
        assert not run_search(tmp_path / "parts", StopAfter(steps), resume=True, order=order).finished
    assert run_search(tmp_path / "parts", resume=True, order=order).finished
    assert same(search_state(tmp_path / "whole"), search_state(tmp_path / "parts"))
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    assert load_genotype(tmp_path / "parts/genotype.yaml") == finished.genotype


def test_a_search_of_another_space_is_resumed_exactly(run_search, tmp_path):
    options = {"space": "nb201", "channels": 2, "cells": 1, "epochs": 1}
    finished = run_search(tmp_path / "whole", **options)
    assert not run_search(tmp_path / "parts", StopAfter(2), **options).finished
    assert run_search(tmp_path / "parts", resume=True, **options).finished
    assert same(search_state(tmp_path / "whole"), search_state(tmp_path / "parts"))
    found = load_genotype(tmp_path / "parts/genotype.yaml")
    assert found == finished.genotype == load_genotype(format_arch_string(found))
    assert found.skeleton == "nb201"


def test_too_few_cells_for_a_search_are_refused(refused, run_search, tmp_path):
    refused("cells=2: must be at least 3: two reduction cells and a normal one", run_search, tmp_path, cells=2)


def test_what_a_run_leaves(run_search, tmp_path):
    result = run_search(tmp_path)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(0 <= row["valid_accuracy"] <= 1 and row["images_per_second"] > 0 for row in rows)
    found = load_genotype(tmp_path / "genotype.yaml")
    assert found == result.genotype == load_genotype(rows[-1]["genotype"])
    assert (found.origin.space, found.origin.dataset, found.origin.seed, found.origin.epoch) == ("tiny", "digits", 3, 2)
    assert [path.name for path in sorted((tmp_path / "genotypes").iterdir())] == ["epoch-001.yaml", "epoch-002.yaml"]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert all(0 < row["alphas"][kind]["entropy"] <= 1 for row in rows for kind in ("normal", "reduce"))
    assert {"train_loss", "valid_accuracy", "strength/normal/sep_conv_3x3", "entropy/normal"} <= set(
        events.Tags()["scalars"]
    )
    assert {"strengths/normal", "strengths/reduce", "cell/normal", "cell/reduce"} == set(events.Tags()["images"])
    assert [event.step for event in events.Scalars("valid_accuracy")] == [1, 2]


def test_weights_and_alphas_both_learn_and_the_loss_falls(run_search, tmp_path):
    first = run_search(tmp_path / "start", StopAfter(0), epochs=8)
    assert (first.epoch, first.step) == (0, 0)
    run_search(tmp_path / "end", epochs=8, weights=replace(SETTINGS.weights, lr=0.2))
    before, after = search_state(tmp_path / "start"), search_state(tmp_path / "end")
    assert not any(torch.equal(before[name], after[name]) for name in ("alpha_normal", "alpha_reduce", "stem.0.weight"))
    losses = [row["train_loss"] for row in metrics(tmp_path / "end")]
    assert losses[-1] < 0.8 * losses[0]


def test_alphas_are_moved_by_their_own_optimizer_alone(run_search, tmp_path):
    """With a vanishing learning rate the alphas stay, whatever the weights' optimizer does."""
    run_search(tmp_path / "start", StopAfter(0))
    run_search(tmp_path / "end", alphas=AlphaSettings(lr=1e-30, beta1=0.5, beta2=0.999, weight_decay=1e-3))
    before, after = search_state(tmp_path / "start"), search_state(tmp_path / "end")
    assert torch.equal(before["alpha_normal"], after["alpha_normal"])
    assert not torch.equal(before["stem.0.weight"], after["stem.0.weight"])


def test_no_gradient_is_left_behind_a_step(digits):
    space = nas.load_space("tiny")
    started = init_search_state(space, SETTINGS, 10, torch.device("cpu"))
    data = search_data(digits, SETTINGS, AugmentSettings(pad=1, flip=False))
    train, valid = next(data.train.epoch(0)), next(data.alphas.epoch(0))
    for step in (
        lambda: alpha_step(started, SETTINGS, train, valid, 0.1),
        lambda: weight_step(started, SETTINGS, train, 0.1),
    ):
        step()
        assert all(p.grad is None for p in started.supernet.parameters())


def test_a_weight_step_is_sgd_with_clipping_written_out(digits):
    settings = replace(SETTINGS, weights=replace(SETTINGS.weights, clip_norm=0.5))
    started = init_search_state(nas.load_space("tiny"), settings, 10, torch.device("cpu"))
    data = search_data(digits, settings, AugmentSettings(pad=1, flip=False))
    for lr, batch in zip((0.1, 0.05), data.train.epoch(0), strict=False):
        weights = {name: w.detach().clone() for name, w in started.supernet.named_weights().items()}
        buffers = {n: b.clone() for n, b in started.momentum_buffers().items()}
        twin = copy.deepcopy(started.supernet)
        F.cross_entropy(twin(batch[0]), batch[1]).backward()
        gradients = {name: w.grad for name, w in twin.named_weights().items()}
        norm = torch.stack([g.norm() for g in gradients.values()]).norm()
        assert norm > 0.5  # or the clipping would not be seen
        weight_step(started, settings, batch, lr)
        for name, w in started.supernet.named_weights().items():
            buffer = gradients[name] * 0.5 / (norm + 1e-6) + 3e-4 * weights[name] + 0.9 * buffers[name]
            torch.testing.assert_close(w.detach(), weights[name] - lr * buffer, rtol=1e-5, atol=1e-7)


def test_the_learning_rate_is_a_cosine_over_the_epochs():
    settings = replace(SETTINGS, epochs=50)
    rates = [weights_learning_rate(settings, epoch) for epoch in range(50)]
    assert rates[0] == 0.025
    assert rates[25] == pytest.approx((0.025 + 0.001) / 2)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.025)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50, 0.001)
    for rate in rates:
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate, rel=1e-9)
        optimizer.step()
        schedule.step()


def test_the_two_halves_share_no_image_and_evaluation_sees_the_alphas_half(digits):
    data = search_data(digits, SETTINGS, AugmentSettings(pad=1, flip=False))
    assert len(data.train.images) + len(data.alphas.images) == len(digits.train)
    assert data.valid.images is data.alphas.images
    assert not data.valid.shuffle


def test_unequal_parts_work(run_search, tmp_path):
    run_search(tmp_path / "a", train_fraction=0.8, epochs=3)
    run_search(tmp_path / "b", StopAfter(6), train_fraction=0.8, epochs=3)
    run_search(tmp_path / "b", resume=True, train_fraction=0.8, epochs=3)
    assert same(search_state(tmp_path / "a"), search_state(tmp_path / "b"))


def test_bf16_searches_too(run_search, tmp_path):
    result = run_search(tmp_path, precision="bf16", order=2, epochs=1)
    assert result.finished
    assert all(value.isfinite().all() for value in search_state(tmp_path).values())
    assert search_state(tmp_path)["stem.0.weight"].dtype == torch.float32


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 100])
def test_a_damaged_checkpoint_is_one_line(run_search, tmp_path, damage):
    run_search(tmp_path, StopAfter(1))
    (tmp_path / CHECKPOINT).write_bytes(damage((tmp_path / CHECKPOINT).read_bytes()))
    with pytest.raises(InputError, match=r"checkpoint\.pt: not a checkpoint, or cut off or altered"):
        run_search(tmp_path, resume=True)


def test_a_checkpoint_of_another_search_is_refused(run_search, tmp_path):
    run_search(tmp_path, StopAfter(1))
    with pytest.raises(InputError, match="does not fit this search"):
        run_search(tmp_path, resume=True, channels=4)


def test_a_resumed_run_takes_back_rows_that_its_checkpoint_does_not_know(run_search, tmp_path):
    """As after a kill between the row and the checkpoint."""
    run_search(tmp_path, epochs=2)
    (tmp_path / "kept.pt").write_bytes((tmp_path / CHECKPOINT).read_bytes())
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"epoch": 3, "train_loss": 0.0}) + "\n" + '{"epoch": 4, "tr')
    run_search(tmp_path, resume=True, epochs=2)
    assert [row["epoch"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2]
