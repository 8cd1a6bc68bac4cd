"""How many kernels a step dispatches: a measure of its overhead without noise."""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import nas
from nas.search.state import init_search_state
from nas.search.steps import alpha_step, weight_step
from tests.helpers.search_settings import SETTINGS

ALLOCATIONS = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")


class Count(TorchDispatchMode):
    """Counts the operators that compute something: no views, no allocations."""

    def __init__(self):
        super().__init__()
        self.kernels = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        returned = [each.alias_info for each in function._schema.returns]
        view = any(alias is not None and not alias.is_write for alias in returned)
        self.kernels += not view and function._schema.name.removeprefix("aten::") not in ALLOCATIONS
        return function(*args, **(kwargs or {}))


def kernels(space, execution, order=1):
    """Those of the second step: the first one has no momentum yet."""
    settings = replace(SETTINGS, channels=6, cells=8, order=order, execution=execution)
    state = init_search_state(nas.load_space(space), settings, 10, torch.device("cpu"))
    one = torch.randn(2, 3, 8, 8), torch.randint(0, 10, (2,))
    for _ in range(2):
        with Count() as count:
            alpha_step(state, settings, one, one, 0.025)
            weight_step(state, settings, one, 0.025)
    return count.kernels


@pytest.mark.parametrize("space", ["darts", "darts+sandglass"])
def test_a_batched_step_takes_a_quarter_of_the_kernels(space):
    assert kernels(space, "batched") <= kernels(space, "reference") / 4


def test_a_plain_sum_is_one_kernel():
    x = torch.ones(2, 2)
    with Count() as count:
        x.t()[0].add(1)
    assert count.kernels == 1
