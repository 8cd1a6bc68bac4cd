"""Attribution of known durations, made by sleeping."""

import time
from collections import defaultdict

import torch
from torch.profiler import ProfilerActivity, profile

from nas.core.profiler_spans import record_spans, span
from nas.profiling.attribution import attribute, make_rows

TICK = 0.02


class Sleeper(torch.autograd.Function):
    """Sleeps for given numbers of ticks in the forward and the backward pass."""

    @staticmethod
    def forward(ctx, x, forward, backward):
        ctx.backward_ticks = backward
        time.sleep(forward * TICK)
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        time.sleep(ctx.backward_ticks * TICK)
        return gradient * 1, None, None


def test_sleeping_is_attributed_to_its_span():
    x = torch.ones(4, requires_grad=True)
    with record_spans() as spans, profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        with span("a"):
            y = Sleeper.apply(x, 1, 4)
            with span("b"):
                y = Sleeper.apply(y, 3, 2)
            y = Sleeper.apply(y, 1, 0)
        with span("python"):
            time.sleep(2 * TICK)
        y = Sleeper.apply(y, 5, 5)  # in no span
        torch.autograd.grad(y.sum(), x)
    seconds = attribute(profiler.events(), spans, on_device=False)
    expected = {("a", False): 2, ("b", False): 3, ("python", False): 2, ("a", True): 4, ("b", True): 2}
    assert seconds.keys() == expected.keys()
    for owner, ticks in expected.items():
        assert seconds[owner] >= ticks * TICK, owner  # no upper bound: the machine is shared


class Several(torch.autograd.Function):
    """One autograd node for the work of two spans, which it enters in the backward pass."""

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        for name, ticks in (("a", 3), ("b", 2)):
            with span(name):
                time.sleep(ticks * TICK)
        return gradient * 1


def test_a_node_that_enters_several_spans():
    x = torch.ones(4, requires_grad=True)
    with record_spans() as spans, profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        with span("sum"):
            y = Several.apply(x)
        torch.autograd.grad(y.sum(), x)
    seconds = attribute(profiler.events(), spans, on_device=False)
    assert seconds["a", True] >= 3 * TICK
    assert seconds["b", True] >= 2 * TICK
    assert seconds["sum", True] < seconds["b", True]
    assert ("a", False) not in seconds


def test_rows_add_up_to_the_step():
    first = defaultdict(float, {("a", False): 1.0, ("a", True): 3.0, ("sum", False): 5.0, ("data", False): 0.5})
    rows = {
        row.name: row for row in make_rows([first, {("a", False): 2.0, ("optimizer", False): 1.0}], ["a", "b"], 6.0)
    }
    assert list(rows) == ["a", "sum", "b", "optimizer", "data", "other"]
    assert (rows["a"].forward, rows["a"].backward, rows["a"].seconds) == (1.5, 1.5, 3.0)
    assert (rows["b"].seconds, rows["optimizer"].seconds, rows["data"].seconds) == (0.0, 0.5, 0.25)
    assert rows["data"].forward is rows["other"].backward is None
    assert sum(row.seconds for row in rows.values()) == 6.0
