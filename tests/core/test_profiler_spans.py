"""Profiler spans: free unless recorded; recorded spans know the autograd nodes created in them."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from nas.core.profiler_spans import NOTHING, record_spans, span


def test_spans_are_free_unless_recorded():
    assert span("a") is span("b") is NOTHING
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler, span("a"):
        torch.ones(2)
    assert not any(event.is_user_annotation for event in profiler.events())


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


def test_nodes_belong_to_the_innermost_span():
    x = torch.ones(3, requires_grad=True)
    outside = x.exp()
    with record_spans() as spans:
        before = x.exp()
        with span("outer"):
            first = before.sin()
            with span("inner"):
                second, own = first.cos(), Doubled.apply(first)
            with span("empty"):
                pass
            third = second + own
        last = third.sum()
    made = {
        name: spans.maker(tensor.grad_fn._sequence_nr())
        for name, tensor in locals().items()
        if isinstance(tensor, torch.Tensor) and tensor.grad_fn is not None
    }
    assert outside is not None
    assert made == {
        "outside": None,
        "before": None,
        "first": "outer",
        "second": "inner",
        "own": "inner",
        "third": "outer",
        "last": None,
    }
    assert spans.names == {"outer", "inner", "empty"}
    assert last.requires_grad


def test_an_error_ends_span_and_recording():
    with pytest.raises(ValueError, match="here"), record_spans() as spans, span("failing"):
        raise ValueError("here")
    assert span("a") is NOTHING
    made = torch.ones(1, requires_grad=True).exp()
    assert spans.maker(made.grad_fn._sequence_nr()) is None
