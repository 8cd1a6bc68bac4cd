"""The seam for search methods: every place where a method may differ from DARTS, and how methods compose."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

import nas
from nas.core.errors import InputError
from nas.costs.expected import ObjectiveSettings
from nas.models.edge_rule import SourceView
from nas.models.supernet import EXECUTIONS
from nas.ops.skip import FactorizedReduce
from nas.runtime.metrics_log import read_metrics
from nas.search.method import Method, Perturbation, compose_methods
from nas.search.methods import build_method, method_settings, methods, register_method
from nas.search.state import weights_learning_rate
from nas.search.validation import AlphaHalf
from tests.helpers.method_states import BATCHES, CPU, state_with
from tests.helpers.runs import StopAfter, metrics, same, search_state
from tests.helpers.search_settings import SETTINGS


@pytest.fixture
def registered():
    """Register methods for the length of a test."""
    known = dict(methods._entries)
    yield register_method
    methods._entries.clear()
    methods._entries.update(known)


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


@pytest.mark.parametrize("execution", ["reference", "fused", "batched"])
def test_what_is_left_of_the_operators(execution):
    """One operator alone, two of them, none: against the supernet whose alphas and strengths say the same."""
    torch.manual_seed(0)
    net = nas.Supernet("tiny", 2, 3, execution=execution).double()
    whole = nas.Supernet("tiny", 2, 3, execution="reference").double()
    whole.load_state_dict(net.state_dict())
    kept = torch.ones(5, 5, dtype=torch.bool)
    kept[0] = torch.tensor([False, False, False, True, False])
    kept[1, :3], kept[2] = False, False
    net.restrict({"normal": kept})

    def by_hand(alphas):
        p = {kind: torch.softmax(alpha, -1) for kind, alpha in alphas.items()}
        row = p["normal"] * kept
        scale = row.sum(1, keepdim=True)
        return p | {"normal": torch.where(scale > 0, row / torch.where(scale > 0, scale, 1), 0)}

    images, labels = torch.randn(3, 3, 8, 8).double(), torch.arange(3)
    results = []
    for model, relax in ((net, None), (whole, by_hand)):
        loss = F.cross_entropy(model(images, relax), labels)
        results.append((loss, torch.autograd.grad(loss, list(model.alphas().values()))))
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(net.strengths(), by_hand(whole.alphas()))
    moved = {name for name, buffer in net.named_buffers() if name.endswith("num_batches_tracked") and buffer > 0}
    assert any(name.startswith("cells.0.edges.3.") for name in moved)
    assert not [name for name in moved if name.startswith("cells.0.edges.2.")]
    net.restrict(None)
    torch.testing.assert_close(net(images), whole(images))
    with pytest.raises(InputError, match="expected: bool"):
        net.restrict({"normal": kept[:3]})


def test_the_validation_of_an_event():
    """Accuracy and loss with the statistics of each batch, and a loss that has second derivatives by the alphas."""
    state = state_with()
    net = state.supernet.double()
    batches = [(images.double(), labels) for images, labels in BATCHES]
    source = SimpleNamespace(device=CPU, epoch=lambda epoch: iter(batches))
    half = AlphaHalf(net, state.parts, source, lambda: batches[1], "fp32")
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    one_hot = {kind: F.one_hot(torch.arange(5), 5).double() for kind in net.space.kinds}
    accuracy, loss = half.accuracy(lambda alphas: one_hot)
    alphas = {kind: alpha.detach().clone().requires_grad_() for kind, alpha in net.alphas().items()}
    hessian_row = torch.autograd.grad(half.loss(alphas), alphas["normal"], create_graph=True)[0][1, 3]
    found = torch.autograd.grad(hessian_row, alphas["reduce"])[0]
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())

    other = state_with().supernet.double().train()
    logits = [other(images, lambda alphas: one_hot) for images, _ in batches]
    labels = torch.cat([labels for _, labels in batches])
    assert accuracy == (torch.cat(logits).argmax(1) == labels).double().mean().item()
    assert loss == pytest.approx(F.cross_entropy(torch.cat(logits), labels).item())

    def slope(shift):
        moved = {kind: alpha.detach().clone() for kind, alpha in alphas.items()}
        moved["reduce"][2, 4] += shift
        leaves = {kind: alpha.requires_grad_() for kind, alpha in moved.items()}
        return torch.autograd.grad(half.loss(leaves), leaves["normal"])[0][1, 3].item()

    assert found[2, 4].item() == pytest.approx((slope(1e-4) - slope(-1e-4)) / 2e-4, rel=1e-3, abs=1e-9)


def test_an_edge_rule_with_modules_and_a_schedule(run_search, tmp_path, registered):
    """Its modules map what passes the operators by, its value follows the epochs, in every execution."""

    class Passing(nas.EdgeRule):
        schedule = staticmethod(lambda epoch, epochs: 1 - epoch / epochs)

        def build(self, channels, stride):
            return FactorizedReduce(channels, channels, affine=False) if stride == 2 else None

        def view(self, x, stride):
            return SourceView(x, x)

        def finish(self, mixed, rests, weights, value):
            return mixed + value * sum(rests)

    torch.manual_seed(0)
    first, *others = (nas.Supernet("tiny", 2, 3, execution=e, edge_rule=Passing()) for e in EXECUTIONS)
    x, found = torch.randn(3, 3, 8, 8), []
    for net in (first, *others):
        net.load_state_dict(first.state_dict())
        logits = net.double()(x.double())
        found.append([logits, *torch.autograd.grad(logits.square().sum(), net.alphas().values())])
    torch.testing.assert_close(found[1:], [found[0]] * (len(found) - 1))
    assert sum(name.startswith("cells.1.edge_modules") for name in first.state_dict()) == 4 * 5
    registered("passing")(lambda settings: Method(edge_rule=Passing()))
    assert run_search(tmp_path, method="passing").supernet.edge_value.item() == 0.5


def test_events_memory_stop_and_selection(run_search, tmp_path, registered):
    @registered("counting")
    def counting(settings):
        def count(view):
            view.memory["epochs"] = [*view.memory.get("epochs", []), view.epoch]

        return Method(
            on_epoch=(count,),
            stop=lambda view: view.epoch == 2,
            weights_lr=lambda weights, epoch, epochs: weights.lr * (1 + epoch),
            select=lambda view: nas.load_genotype(f"darts_v{len(view.memory['epochs'])}"),
        )

    assert not run_search(tmp_path / "a", StopAfter(0), epochs=4, method="counting").finished
    result = run_search(tmp_path / "a", resume=True, epochs=4, method="counting")
    assert (result.finished, result.epoch) == (True, 2)
    assert result.genotype == nas.load_genotype("darts_v2")
    plain, method = replace(SETTINGS, epochs=4), build_method("counting")
    assert weights_learning_rate(plain, 2, method) == 3 * plain.weights.lr
    assert [row["lr"] for row in read_metrics(tmp_path / "a/metrics.jsonl")] == pytest.approx(
        [weights_learning_rate(plain, epoch, method) for epoch in range(2)]
    )
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
        run_search(tmp_path / "a", method="pc_darts", methods={"pc_darts": {"warmup_epochs": 2}}, channels=4)
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
