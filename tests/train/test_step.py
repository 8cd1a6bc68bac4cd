"""One training step against explicit formulas."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from nas.data import AugmentSettings
from nas.graph.zoo import load_genotype
from nas.train.loop import train_data
from nas.train.network_spec import make_network_spec
from nas.train.state import ema_update, init_train_state
from nas.train.step import train_step, training_loss
from tests.helpers.train_settings import SMALL

CPU = torch.device("cpu")


@pytest.fixture
def start(digits):
    def begin(**changes):
        settings = replace(SMALL, **changes)
        state = init_train_state(make_network_spec(load_genotype("darts_v2"), digits, settings), settings, CPU)
        state.model.train()
        train, _ = train_data(digits, settings, AugmentSettings(pad=1, flip=False))
        return state, settings, list(train.epoch(0))

    return begin


def weights(model):
    return {name: w.detach().clone() for name, w in model.named_parameters()}


def test_the_loss_is_smoothed_cross_entropy_with_the_auxiliary_heads():
    logits, auxiliary = torch.randn(7, 10), torch.randn(7, 10)
    labels = torch.arange(7)

    def smoothed(values):
        target = 0.9 * torch.eye(10)[labels] + 0.1 / 10
        return -(target * values.log_softmax(1)).sum(1).mean()

    found, loss = training_loss((logits, auxiliary), labels, SMALL)
    assert torch.equal(found, logits)
    torch.testing.assert_close(loss, smoothed(logits) + 0.4 * smoothed(auxiliary))
    torch.testing.assert_close(training_loss(logits, labels, SMALL)[1], smoothed(logits))
    assert training_loss(logits.bfloat16(), labels, SMALL)[1].dtype == torch.float32


def test_a_step_is_sgd_with_clipping_written_out(start):
    state, settings, batches = start(weights=replace(SMALL.weights, clip_norm=0.5), ema=None)
    buffers = {}
    for lr, batch in zip((0.1, 0.05), batches, strict=False):
        before, twin = weights(state.model), copy.deepcopy(state.model)
        training_loss(twin(batch[0]), batch[1], settings)[1].backward()
        gradients = {name: w.grad for name, w in twin.named_parameters()}
        norm = torch.stack([g.norm() for g in gradients.values()]).norm()
        assert norm > 0.5  # or the clipping would not be seen
        train_step(state, settings, batch, lr, state.model)
        for name, w in state.model.named_parameters():
            step = gradients[name] * 0.5 / (norm + 1e-6) + 3e-4 * before[name]
            buffers[name] = step + 0.9 * buffers[name] if name in buffers else step
            torch.testing.assert_close(w.detach(), before[name] - lr * buffers[name], rtol=1e-5, atol=1e-7)
            assert w.grad is None


def test_a_step_moves_every_weight(start):
    state, settings, batches = start()
    before = weights(state.model)
    train_step(state, settings, batches[0], 0.1, state.model)
    assert not [name for name, w in state.model.named_parameters() if torch.equal(w, before[name])]


def test_the_average_is_its_closed_form(start):
    state, settings, batches = start(ema=0.9)
    seen = []
    for batch in batches[:5]:
        train_step(state, settings, batch, 0.1, state.model)
        seen.append(copy.deepcopy(state.model.state_dict()))
    shares = [0.9**4] + [0.1 * 0.9**k for k in (3, 2, 1, 0)]
    assert sum(shares) == pytest.approx(1)
    for name, value in state.eval_model.state_dict().items():
        if value.is_floating_point():  # weights and BatchNorm statistics
            expected = sum(share * values[name] for share, values in zip(shares, seen, strict=True))
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


def test_drop_path_is_set_by_the_epoch_and_drawn_by_the_place(start):
    state, settings, batches = start(ema=None)
    state.epoch = 1
    twin = copy.deepcopy(state)
    torch.rand(17)  # what was drawn before does not count
    losses = [train_step(s, settings, batches[0], 0.1, s.model)[0] for s in (state, twin)]
    assert state.model.drop_path == 0.2
    assert torch.equal(*losses)
    state.step, other = 1, copy.deepcopy(state)
    other.step = 2
    assert not torch.equal(*(train_step(s, settings, batches[1], 0.1, s.model)[0] for s in (state, other)))


def test_bf16_and_channels_last_compute_the_same_but_for_rounding(start):
    found = {}
    for name, changes in {"plain": {}, "last": {"channels_last": True}, "bf16": {"precision": "bf16"}}.items():
        state, settings, batches = start(drop_path=0.0, **changes)
        found[name] = train_step(state, settings, batches[0], 0.1, state.model)
        assert found[name][1].dtype == torch.float32
        assert all(w.dtype == torch.float32 for w in state.model.parameters())
    torch.testing.assert_close(found["last"][1], found["plain"][1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found["bf16"][0], found["plain"][0], rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("value", "start"), [(torch.tensor([7, 9]), 0), (torch.tensor([True, False]), True)])
def test_integer_and_bool_buffers_are_copied_into_the_average(value, start):
    model = torch.nn.BatchNorm1d(2)
    model.register_buffer("extra", torch.full_like(value, start))
    average = AveragedModel(model, multi_avg_fn=ema_update(0.9), use_buffers=True)
    for count in range(1, 4):
        with torch.no_grad():
            model.weight.fill_(count)
            model.num_batches_tracked.fill_(10 * count)
            model.extra.copy_(value)
        average.update_parameters(model)
    assert average.module.extra.equal(value)
    assert average.module.num_batches_tracked == 30
    assert average.module.weight[0].item() == pytest.approx(0.9**2 * 1 + 0.9 * 0.1 * 2 + 0.1 * 3)
