"""An error in place of a wrong second derivative."""

from typing import Any

import torch
from torch import Tensor


class _FirstOrderOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "execution=fused has first derivatives only, and create_graph=True asks for more: "
                "set execution to 'reference' (or 'batched', for a supernet)"
            )
        return grad


def first_order_only(x: Tensor) -> Tensor:
    """Return ``x``; a backward pass with ``create_graph=True`` raises RuntimeError.

    The kernels' backward passes record no graph: a second derivative would silently lack what passes through them.
    """
    return _FirstOrderOnly.apply(x)  # type: ignore[no-any-return]
