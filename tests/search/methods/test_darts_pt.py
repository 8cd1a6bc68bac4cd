"""The decisions of DARTS-PT with a validation whose losses are known, its schedule, and short searches."""

from types import SimpleNamespace

import pytest
import torch

import nas
from nas.search.method import SearchView
from nas.search.methods import build_method
from nas.search.methods.darts_pt import DartsPtSettings, due_decisions, take_decisions
from tests.helpers.search_settings import SETTINGS


def view_with(loss_of, epoch=0):
    """Return a view of a fresh search; ``loss_of(strengths)`` is the loss with these strengths."""
    net = nas.Supernet("tiny", 2, 3)

    def accuracy(relax):
        loss = loss_of(relax(None))
        return 1 - loss, loss

    return SearchView(net, {}, epoch, 2, SimpleNamespace(accuracy=accuracy), lambda: None, lambda number: None, None, 0)


@pytest.mark.parametrize("criterion", ["acc", "loss"])
def test_the_operator_whose_absence_costs_most_remains(criterion):
    torch.manual_seed(0)
    worth = {kind: torch.rand(5, 5) for kind in ("normal", "reduce")}
    worth["normal"][:, 0] = 9.0  # none is never chosen, whatever it is worth
    full = {kind: p.detach() for kind, p in view_with(lambda p: 0.0).supernet.strengths().items()}

    def loss(p):
        return sum(float((worth[kind] * (p[kind] == 0) * (full[kind] > 0)).sum()) for kind in worth) / 1e3

    view = view_with(loss)
    take_decisions(view, 5, criterion)
    for kind, kept in view.kept.items():
        assert kept.sum(1).tolist() == [1] * 5
        assert kept.float().argmax(1).tolist() == (worth[kind][:, 1:].argmax(1) + 1).tolist()
    take_decisions(view, 6, criterion)  # node 3 keeps two of its three edges
    assert {kind: int(kept.any(1).sum()) for kind, kept in view.kept.items()} == {"normal": 4, "reduce": 4}
    assert sum(p.sum().item() for p in view.supernet.strengths().values()) == pytest.approx(8)


def test_operators_that_remain_on_an_edge_keep_their_strengths():
    seen = []
    view = view_with(lambda p: seen.append(p) or 0.0)
    before = {kind: p.clone() for kind, p in view.supernet.strengths().items()}
    take_decisions(view, 1, "acc")
    for p in seen[:4]:
        changed = (p["normal"] != before["normal"]).nonzero()
        assert len(changed) == 1
        assert p["normal"][tuple(changed[0])] == 0
        assert torch.equal(p["reduce"], before["reduce"])


def test_the_schedule_of_the_paper():
    """50 epochs of DARTS; 14 edges before epochs 0, 5, … 65 of the projection, three nodes before 70, 75, 80."""
    own = DartsPtSettings()
    assert own.first(131) == 50
    due = [due_decisions(epoch, 131, 50, 17) for epoch in range(131)]
    assert [epoch - 50 for epoch in range(1, 131) if due[epoch] > due[epoch - 1]] == list(range(0, 81, 5))
    rate = build_method("darts_pt").weights_lr
    assert [rate(SETTINGS.weights, epoch, 131) for epoch in (0, 50)] == pytest.approx([0.025, 0.0025])
    assert 0.001 < rate(SETTINGS.weights, 130, 131) < 0.00101


@pytest.mark.parametrize(("epochs", "alphas"), [(1, True), (2, False)])
def test_a_short_search_decides_everything(run_search, tmp_path, epochs, alphas):
    own = {"darts_pt": {"alphas": alphas}}
    result = run_search(tmp_path, epochs=epochs, method="darts_pt", methods=own)
    for kind, p in result.supernet.strengths().items():
        assert sorted(p.max(1).values.tolist()) == [0, 1, 1, 1, 1], kind
    assert nas.load_genotype(tmp_path / "genotype.yaml") == result.genotype == result.supernet.genotype()
