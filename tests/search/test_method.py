"""The seam for search methods: every place where a method may differ from DARTS, and how methods compose."""

from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import nas
from nas.core.errors import InputError
from nas.costs.expected import ObjectiveSettings
from nas.models.relaxation import Relaxation
from nas.search.bilevel import architecture_gradients
from nas.search.method import Method, Perturbation, compose_methods
from nas.search.methods import build_method, method_settings, methods, register_method
from nas.search.state import init_search_state
from nas.search.steps import alpha_step, weight_step
from tests.helpers.runs import StopAfter, metrics, same, search_state
from tests.helpers.search_settings import SETTINGS

CPU = torch.device("cpu")
BATCHES = [(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(s)), torch.arange(4)) for s in (0, 1)]


@pytest.fixture
def registered():
    """Register methods for the length of a test."""
    known = dict(methods._entries)
    yield register_method
    methods._entries.clear()
    methods._entries.update(known)


def state_with(**places):
    state = init_search_state(nas.load_space("tiny"), SETTINGS, 10, CPU)
    state.method = replace(Method("other"), **places)
    state.supernet.relaxation = state.method.relaxation
    return state


def alphas_of(state):
    return {kind: alpha.detach().clone() for kind, alpha in state.supernet.alphas().items()}


@pytest.mark.parametrize("method", ["gdas", "pc_darts"])
def test_interrupted_anywhere_a_method_ends_as_if_it_had_not_been(run_search, tmp_path, method):
    changes = {"method": method, "methods": {"pc_darts": {"warmup_epochs": 0}}, "channels": 4}
    run_search(tmp_path / "whole", **changes)
    assert not run_search(tmp_path / "parts", StopAfter(2), **changes).finished
    for steps in (0, 2):
        assert not run_search(tmp_path / "parts", StopAfter(steps), resume=True, **changes).finished
    run_search(tmp_path / "parts", resume=True, **changes)
    assert same(search_state(tmp_path / "whole"), search_state(tmp_path / "parts"))
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


def test_a_penalty_adds_its_gradient_to_that_of_the_validation_loss():
    def squares(alphas, epoch, epochs):
        return (epoch + 1) / epochs * sum((alpha**2).sum() for alpha in alphas.values())

    moved = []
    for places in ({}, {"penalties": (squares,)}):
        state = state_with(**places, alpha_update=lambda alpha, direction, lr: alpha.sub_(direction))
        before = alphas_of(state)
        alpha_step(state, SETTINGS, *BATCHES, 0.1)
        moved.append({kind: before[kind] - alpha for kind, alpha in alphas_of(state).items()})
    for kind, alpha in before.items():
        torch.testing.assert_close(moved[1][kind] - moved[0][kind], 2 * alpha / SETTINGS.epochs, atol=1e-6, rtol=1e-3)


def test_an_alpha_gradient_may_look_at_other_alphas():
    """The direction is the gradient at the negated alphas, which is written out with a model that holds them."""

    def negated(gradient, alphas):
        return gradient({kind: -alpha for kind, alpha in alphas.items()})

    state = state_with(alpha_gradient=negated, alpha_update=lambda alpha, direction, lr: alpha.copy_(direction))
    other = state_with()
    with torch.no_grad():
        for alpha in other.supernet.alphas().values():
            alpha.neg_()
    wanted = architecture_gradients(other.supernet, *BATCHES, 0.1)
    alpha_step(state, SETTINGS, *BATCHES, 0.1)
    torch.testing.assert_close(alphas_of(state), wanted)


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


def test_events_memory_stop_and_selection(run_search, tmp_path, registered):
    @registered("counting")
    def counting(settings):
        def count(view):
            view.memory["epochs"] = [*view.memory.get("epochs", []), view.epoch]

        return Method(
            on_epoch=(count,),
            stop=lambda view: view.epoch == 2,
            select=lambda view: nas.load_genotype(f"darts_v{len(view.memory['epochs'])}"),
        )

    assert not run_search(tmp_path / "a", StopAfter(0), epochs=4, method="counting").finished
    result = run_search(tmp_path / "a", resume=True, epochs=4, method="counting")
    assert (result.finished, result.epoch) == (True, 2)
    assert result.genotype == nas.load_genotype("darts_v2")
    assert run_search(tmp_path / "a", resume=True, epochs=4, method="counting").epoch == 2


def test_own_settings_are_checked(registered):
    @dataclass(frozen=True)
    class Own:
        rate: float = 0.5
        on: bool = False

    @registered("own", settings=Own, changes={"alphas.lr": 0.1, "batch_size": 8})
    def own(settings):
        return Method(stop=lambda view: settings.rate == 2.0)

    assert build_method("own", {"own": {"rate": 2}}).stop(None)
    assert method_settings("own", {"batch_size"}) == {"alphas.lr": 0.1}
    for bad, text in (
        ({"own": {"rat": 1.0}}, "methods.own.rat: unknown setting; did you mean rate?"),
        ({"own": {"on": 1}}, "methods.own.on=1: must be"),
        ({"gdsa": {}}, "methods.gdsa: unknown method; did you mean gdas?"),
        ({"gdas": {"tau_min": 0.0}}, "methods.gdas.tau_min=0.0: must be above 0"),
    ):
        with pytest.raises(InputError, match=text.replace("?", r"\?")):
            build_method("own+gdas", bad)
    with pytest.raises(InputError, match="already"):
        registered("gdas")(own)
    with pytest.raises(InputError, match="default"):
        registered("other", settings=int)


def test_settings_that_make_a_method_pointless_are_refused(run_search, tmp_path, registered, capsys):
    with pytest.raises(InputError, match="epochs=2: the alphas of method=pc_darts would rest in all of them"):
        run_search(tmp_path / "a", method="pc_darts", channels=4)
    registered("selecting")(lambda settings: Method(select=lambda view: nas.load_genotype("darts_v2")))
    with pytest.raises(InputError, match="objective: has no meaning with method=selecting"):
        run_search(tmp_path / "b", method="selecting", objective=ObjectiveSettings(params=1.0))
    run_search(tmp_path / "c", epochs=1, methods={"gdas": {"tau_max": 3.0}})
    assert "methods.gdas: has no effect with method=darts" in capsys.readouterr().err


def test_methods_compose_unless_they_contradict_each_other():
    both = build_method("gdas+pc_darts")
    assert (both.relaxation.sparse, both.edge_rule) == (True, build_method("pc_darts").edge_rule)
    assert (both.orders, both.capturable, len(both.rests)) == ((1,), False, 1)
    assert build_method("darts+gdas").name == "gdas"
    noise = Method("noise", perturbation=Perturbation(lambda p, *_: p))
    with pytest.raises(InputError, match="one-hot strengths cannot be perturbed"):
        compose_methods([build_method("gdas"), noise])
    with pytest.raises(InputError, match="both define perturbation"):
        compose_methods([noise, noise])
    missing = "a name is missing"
    for spec, text in (("", missing), ("gdas+", missing), ("gdas+gdas", "named twice"), ("gda", "did you mean gdas")):
        with pytest.raises(InputError, match=text):
            build_method(spec)
