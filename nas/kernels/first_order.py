"""Autograd functions that have a first derivative only, and say so."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_MESSAGE = "the fast kernels have first derivatives only; use execution=reference for second ones"

Gradients = tuple[Tensor | None, ...]


def first_derivative_only(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """Decorate an autograd function's ``backward`` that has no derivative itself: double backward raises RuntimeError.

    torch's ``once_differentiable`` raises only if the incoming gradient requires a gradient. If it is a constant, as
    that of a sum is, the second derivative would be missing without an error.
    """

    @functools.wraps(backward)
    def checked(ctx: Any, *grad_outputs: Tensor) -> Gradients:
        if not torch.is_grad_enabled():  # no create_graph=True
            return backward(ctx, *grad_outputs)
        with torch.no_grad():
            gradients = backward(ctx, *grad_outputs)
        return tuple(None if x is None else _raise_on_backward(x) for x in gradients)

    return checked


def _raise_on_backward(x: Tensor) -> Tensor:
    return _RaiseOnBackward.apply(x.detach().requires_grad_())  # type: ignore[no-any-return]


class _RaiseOnBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> None:
        raise RuntimeError(_MESSAGE)
