"""OLES' cosines and means against plain numbers, and operators whose weights stop."""

import pytest
import torch

from nas.search.methods import build_method
from nas.search.methods.oles import OlesSettings, gradient_matches, operator_of, update_frozen
from nas.search.steps import weight_step
from tests.helpers.method_states import BATCHES, state_with
from tests.helpers.search_settings import SETTINGS

FIRST, SECOND = "cells.0.edges.1.sep_conv_3x3.0.weight", "cells.0.edges.1.sep_conv_3x3.1.weight"


def cosine(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


def test_the_operators_weights():
    assert operator_of(FIRST) == "cells.0.edges.1.sep_conv_3x3"
    assert operator_of("cells.0.preprocess.0.1.weight") is None
    assert operator_of("stem.0.weight") is None


def test_both_formulas():
    torch.manual_seed(0)
    train, valid = ({name: torch.randn(4, 3, 1, 1).double() for name in (FIRST, SECOND)} for _ in range(2))
    found = gradient_matches(train, valid, OlesSettings())
    wanted = sum(cosine(train[n], valid[n]) for n in train) / 2
    assert found == {"cells.0.edges.1.sep_conv_3x3": pytest.approx(wanted)}
    found = gradient_matches(train, valid, OlesSettings(formula="released", clip_norm=1.0))
    norm = torch.cat([g.flatten() for g in train.values()]).norm()
    columns = []
    for name in train:
        clipped = train[name] / norm
        mixed = valid[name] + clipped
        columns.append(sum(cosine(clipped[:, k], mixed[:, k]) for k in range(3)) / 3)
    assert found == {"cells.0.edges.1.sep_conv_3x3": pytest.approx(sum(columns) / 2, rel=1e-5)}


@pytest.mark.parametrize(("formula", "steps", "divided"), [("exact", 3, 3), ("released", 4, 3)])
def test_operators_freeze_when_their_mean_is_low(formula, steps, divided):
    settings = OlesSettings(steps=3, formula=formula)
    memory = {"train": {}, "sums": {}, "count": 0, "frozen": ["old"]}
    for step in range(steps):
        assert memory["frozen"] == ["old"]
        update_frozen(
            memory, {"low": 0.39 * divided / steps, "high": 0.41 * divided / steps, "nan": float("nan")}, settings
        )
        assert memory["count"] == (step + 1) % steps
    assert memory["frozen"] == ["low", "old"]


def test_frozen_weights_stay_in_a_search():
    own = {"oles": {"steps": 1, "threshold": 1.0}}  # everything freezes in the second step
    state = state_with(weight_hook=build_method("oles", own).weight_hook)
    weight_step(state, SETTINGS, BATCHES[0], 0.1, BATCHES[1])
    before = {name: weight.detach().clone() for name, weight in state.supernet.named_weights().items()}
    weight_step(state, SETTINGS, BATCHES[0], 0.1, BATCHES[1])
    after = state.supernet.named_weights()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any(operator_of(name) for name in moved)
