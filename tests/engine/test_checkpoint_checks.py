"""Malformed checkpoints are refused in one line, whatever they hold."""

import pytest
import torch

from nas.core.errors import InputError
from nas.graph.zoo import load_genotype
from nas.ops import load_space
from nas.search.state import init_search_state
from nas.search.steps import alpha_step, weight_step
from nas.train.network_spec import make_network_spec
from nas.train.state import init_train_state
from tests.helpers.search_settings import SETTINGS as SEARCH
from tests.helpers.train_settings import SMALL as TRAIN

CPU = torch.device("cpu")
ODD = [None, "x", -1, 2**40, 1.5, float("nan"), [], {}, [1, 2], {"a": 1}]


@pytest.fixture(params=["search", "training"])
def state(request, digits):
    if request.param == "search":
        return init_search_state(load_space("tiny"), SEARCH, digits.num_classes, CPU)
    return init_train_state(make_network_spec(load_genotype("darts_v2"), digits, TRAIN), TRAIN, CPU)


def reloaded(state, changes: dict) -> None:
    state.load_dict({**state.to_dict(), **changes}, "a.pt")


def test_a_good_one_is_taken(state):
    reloaded(state, {"epoch": 3, "seconds": 2.0})
    assert (state.epoch, state.seconds) == (3, 2.0)


@pytest.mark.parametrize(
    "key", ["epoch", "step", "seconds", "metrics", "nonfinite", "format", "space", "network", "weights"]
)
def test_odd_values(key, state):
    if key not in state.to_dict():
        return
    for value in [value for value in ODD if (key, value) not in (("seconds", 1.5), ("nonfinite", {}))]:
        with pytest.raises(InputError, match=r"a\.pt: "):
            reloaded(state, {key: value})


def test_keys_that_are_missing(state):
    for key in state.to_dict():
        saved = state.to_dict()
        del saved[key]
        try:
            state.load_dict(saved, "a.pt")
        except InputError:
            continue
        # without a GPU; a training's second copy; keys that earlier versions did not write
        assert key in (
            "cuda_rng",
            "model",
            "nonfinite",
            "fingerprint",
            "memory",
            "stopped",
            "test_metric",
            "best_metric",
            "events_of",
        )


@pytest.mark.parametrize("change", ["settings", "shape", "number"])
def test_an_optimizer_of_another_form(change, state):
    key = "weight_optimizer" if "weight_optimizer" in state.to_dict() else "optimizer"
    saved = state.to_dict()[key]
    if change == "settings":
        saved["param_groups"][0]["momentum"] = 0.123
    elif change == "shape":
        saved["state"] = {0: {"momentum_buffer": torch.ones(7)}}
    else:
        saved["param_groups"][0]["params"] = [0]
    with pytest.raises(InputError, match=r"a\.pt: does not fit this"):
        reloaded(state, {key: saved})


def test_the_implementation_of_an_optimizer_is_not_restored():
    """Checkpoints from before optimizers were fused; they had no state before the first step."""
    state = init_search_state(load_space("tiny"), SEARCH, 10, CPU)
    saved = state.to_dict()
    for key in ("weight_optimizer", "alpha_optimizer"):
        saved[key]["state"] = {}
        saved[key]["param_groups"][0].update(foreach=True, fused=None)
    saved["alpha_optimizer"]["param_groups"][0]["capturable"] = False
    state.load_dict(saved, "a.pt")
    batch = torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,))
    found = []
    for each in (state, init_search_state(load_space("tiny"), SEARCH, 10, CPU)):
        alpha_step(each, SEARCH, batch, batch, 0.025)
        weight_step(each, SEARCH, batch, 0.025)
        found.append(each.moved())
    assert all(torch.equal(x, y) for x, y in zip(*found, strict=True))
