"""Where a search method may change a step: penalties, directions, strengths and the gradients of the weights."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nas.models.relaxation import Relaxation
from nas.search.bilevel import architecture_gradients
from nas.search.method import Perturbation
from nas.search.steps import alpha_step, weight_step
from tests.helpers.method_states import BATCHES, alphas_of, state_with
from tests.helpers.search_settings import SETTINGS


def descend(move):
    for kind, alpha in move.alphas.items():
        alpha.sub_(move.directions[kind])


def test_a_penalty_adds_its_gradient_to_that_of_the_validation_loss():
    def squares(alphas, epoch, epochs):
        return (epoch + 1) / epochs * sum((alpha**2).sum() for alpha in alphas.values())

    moved = []
    for places in ({}, {"penalties": (squares,)}):
        state = state_with(**places, alpha_update=descend)
        before = alphas_of(state)
        alpha_step(state, SETTINGS, *BATCHES, 0.1)
        moved.append({kind: before[kind] - alpha for kind, alpha in alphas_of(state).items()})
    for kind, alpha in before.items():
        torch.testing.assert_close(moved[1][kind] - moved[0][kind], 2 * alpha / SETTINGS.epochs, atol=1e-6, rtol=1e-3)


def test_an_alpha_gradient_may_look_at_other_alphas():
    """The gradients of both losses at the negated alphas, by a model that has these."""
    train, valid = BATCHES
    for on_train in (False, True):

        def negated(asked):
            gradient = asked.train if on_train else asked.valid  # noqa: B023 called in this turn
            return gradient({kind: -alpha for kind, alpha in asked.alphas.items()})

        state, other = state_with(alpha_gradient=negated, alpha_update=descend), state_with()
        before = alphas_of(state)
        with torch.no_grad():
            for alpha in other.supernet.alphas().values():
                alpha.neg_()
        wanted = architecture_gradients(other.supernet, train, train if on_train else valid, 0.1)
        alpha_step(state, SETTINGS, train, valid, 0.1)
        moved = {kind: before[kind] - alpha for kind, alpha in alphas_of(state).items()}
        torch.testing.assert_close(moved, wanted, atol=1e-7, rtol=1e-4)


class Smooth(nn.Module):
    """A mixture of smooth layers, so that all second derivatives exist."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        shapes = ((5, 6), (5, 6), (6, 3))
        self.first, self.second, self.last = (nn.Parameter(torch.randn(shape).double() / 2) for shape in shapes)
        self.alpha = nn.Parameter(torch.randn(2, 2).double())

    def alphas(self):
        return {"normal": self.alpha}

    def forward(self, x, relax):
        p = relax(self.alphas())["normal"]
        hidden = p[0, 0] * torch.tanh(x @ self.first) + p[0, 1] * torch.sin(x @ self.second)
        return p[1, 0] * (hidden @ self.last) + p[1, 1] * torch.tanh(hidden @ self.last)


def test_one_draw_serves_all_passes_of_a_second_order_step():
    """Against double backward: with other noise in each pass the finite difference would be off by orders."""

    def noisy(alpha, noise, value):
        return torch.softmax((alpha + noise.to(alpha)) / value, dim=-1)

    relaxation = Relaxation(sample=noisy, noise=lambda shape, generator: torch.randn(shape, generator=generator))
    model, (train, valid), lr = Smooth(), [(torch.randn(8, 5).double(), torch.arange(8) % 3) for _ in range(2)], 0.1
    relax = relaxation.of_step({"normal": torch.randn(2, 2)}, torch.tensor(1.5, dtype=torch.float64))
    found = architecture_gradients(model, train, valid, lr, 0.0, 0.0, 2, relax=relax, finite_difference=1e-4)
    weights = {name: weight for name, weight in model.named_parameters() if name != "alpha"}

    def loss(values, batch):
        return F.cross_entropy(torch.func.functional_call(model, values, (batch[0], relax)), batch[1])

    gradients = torch.autograd.grad(loss({}, train), list(weights.values()), create_graph=True)
    ahead = {name: w - lr * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
    torch.testing.assert_close(found["normal"], torch.autograd.grad(loss(ahead, valid), model.alpha)[0])


def test_a_perturbation_changes_the_strengths_of_the_weight_step_alone():
    seen = {}

    def ascend(strengths, noise, value, gradient):
        loss, by = gradient(strengths)
        seen.update(strengths=strengths, noise=noise, value=value, loss=loss, by=by)
        return {kind: torch.full_like(p, 0.25) for kind, p in strengths.items()}

    perturbation = Perturbation(
        ascend, lambda shape, generator: torch.rand(shape, generator=generator), lambda epoch, epochs: epoch + epochs
    )
    state, plain = state_with(perturbation=perturbation), state_with()
    before = alphas_of(state)
    alpha_step(state, SETTINGS, *BATCHES, 0.1)
    assert not seen
    with torch.no_grad():
        for kind, alpha in state.supernet.alphas().items():
            alpha.copy_(before[kind])
    loss, _ = weight_step(state, SETTINGS, BATCHES[0], 0.1)
    assert seen["value"].item() == SETTINGS.epochs
    torch.testing.assert_close(seen["strengths"], {kind: torch.softmax(a, 1) for kind, a in before.items()})
    assert {kind: tuple(noise.shape) for kind, noise in seen["noise"].items()} == {"normal": (5, 5), "reduce": (5, 5)}
    plain.supernet.train()
    even = plain.supernet(BATCHES[0][0], lambda alphas: {k: torch.full_like(a, 0.25) for k, a in alphas.items()})
    torch.testing.assert_close(loss, F.cross_entropy(even, BATCHES[0][1]).detach())
    # dL/dstrengths in evaluation mode, by a difference of two losses
    other = state_with().supernet.double().eval()
    images, labels = BATCHES[0][0].double(), BATCHES[0][1]

    def at(shift):
        p = {kind: strengths.double().clone() for kind, strengths in seen["strengths"].items()}
        p["normal"][3, 2] += shift
        return F.cross_entropy(other(images, lambda alphas: p), labels)

    difference = (at(1e-5) - at(-1e-5)) / 2e-5
    assert seen["by"]["normal"][3, 2].item() == pytest.approx(difference.item(), rel=1e-2, abs=1e-5)


def test_a_weight_hook_changes_the_gradients_and_may_ask_for_those_of_the_alphas_batch():
    def hook(gradients):
        gradients.memory["steps"] = gradients.memory.get("steps", 0) + 1
        valid = gradients.valid()
        assert valid.keys() == gradients.train.keys()
        return {name: torch.zeros_like(g) for name, g in valid.items()}

    still = replace(SETTINGS, weights=replace(SETTINGS.weights, weight_decay=0.0))
    state = state_with(weight_hook=hook)
    before = [weight.detach().clone() for weight in state.supernet.weights()]
    weight_step(state, still, BATCHES[0], 0.1, BATCHES[1])
    assert state.memory == {"steps": 1}
    decay = state.weight_optimizer.param_groups[0]["weight_decay"]
    for weight, old in zip(state.supernet.weights(), before, strict=True):
        torch.testing.assert_close(weight.detach(), old - 0.1 * decay * old)


def test_a_weight_without_a_gradient_stays_as_it_is():
    left = "stem.0.weight"
    state = state_with(weight_hook=lambda gradients: {n: g for n, g in gradients.train.items() if n != left})
    before = {name: weight.detach().clone() for name, weight in state.supernet.named_weights().items()}
    for _ in range(2):
        weight_step(state, SETTINGS, BATCHES[0], 0.1, BATCHES[1])
    after = state.supernet.named_weights()
    assert [name for name in before if torch.equal(before[name], after[name])] == [left]
