"""The reference with other roundings: equal to it in exact arithmetic, and as good in floating point.

In a BatchNorm of a constant feature map, what rounding has left is multiplied by 1 / sqrt(eps) = 316; after a few of
them it is as large as the values. The reference's own digits are noise then, although it prints the same ones each time
that its inputs move. Two things show it: the BatchNorm in another form, and gradients that are rounded differently.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Noise = Callable[[torch.Size], Tensor]


@contextmanager
def rounded_otherwise(network: nn.Module, noise: Noise) -> Iterator[None]:
    """Within the block BatchNorms are centered, and the gradient by each layer's output is multiplied by 1 + noise."""

    def move_gradient(layer: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(lambda gradient: gradient * (1 + noise(gradient.shape)))

    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    hooks = [layer.register_forward_hook(move_gradient) for layer in layers]
    try:
        with mock.patch.object(F, "batch_norm", centered_batch_norm):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def centered_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return what :func:`torch.nn.functional.batch_norm` does; exactly zero (plus bias) for a constant feature map."""
    count = x.numel() // x.shape[1]
    if training and count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {x.shape}")

    def by_channel(values: Tensor) -> Tensor:
        return values.view(-1, *(1,) * (x.ndim - 2))

    if training:
        first = by_channel(x.transpose(0, 1).flatten(1)[:, 0].detach())
        mean = (x - first).transpose(0, 1).flatten(1).mean(1)
        centered = x - first - by_channel(mean)
        var = centered.square().transpose(0, 1).flatten(1).mean(1)
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(first.flatten() + mean, momentum)
                running_var.lerp_(var * count / (count - 1), momentum)
    else:
        assert running_mean is not None
        assert running_var is not None
        centered, var = x - by_channel(running_mean), running_var
    y = centered * by_channel((var + eps).rsqrt())
    y = y if weight is None else y * by_channel(weight)
    return y if bias is None else y + by_channel(bias)
