"""The terms of a node sum, and the sum by stock torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.conv_chain import ConvUnit, Moments, Shape


@dataclass(frozen=True)
class Term:
    """An operator's output (B, C, H, W) before its last BatchNorm ``norm``, which has no scale and shift of its own.

    The output is ``x``, or that of the ``units`` run on it; their time counts for ``name``. Without a norm the output
    is added as it is; if ``shared`` is given, only its first ``shared`` channels are. ``moments`` are those of ``x`` if
    they are known (:func:`nas.kernels.node_sum.batch_moments`), and ``shapes`` are those of the units' outputs on ``x``
    (:func:`nas.kernels.conv_chain.chain_shapes`), computed if they are not given.
    """

    x: Tensor
    norm: nn.BatchNorm2d | None = None
    shared: int | None = None
    units: tuple[ConvUnit, ...] = ()
    shapes: Sequence[Shape] | None = None
    name: str = ""
    moments: Moments | None = None


def node_sum_torch(terms: Sequence[Term], strengths: Tensor, statistics: BatchNormStats) -> Tensor:
    """Return the sum of terms without units, each times its strength (n,), broadcast if their shapes differ."""
    total: Tensor | None = None
    for term, strength in zip(terms, strengths, strict=True):
        assert not term.units
        x = term.x
        if term.norm is not None:
            # A scale per channel, in memory: torch's BatchNorm in channels_last is wrong with an expanded one.
            scale = strength.expand(x.shape[1]).contiguous()
            y = batch_norm_torch(x, term.norm, [term.norm] if term.moments is None else [], statistics, scale)
        elif term.shared is None:
            y = strength * x
        else:
            y = F.pad(strength * x[:, : term.shared], (0, 0, 0, 0, 0, x.shape[1] - term.shared))
        total = y if total is None else total + y
    assert total is not None
    return total


def batch_norm_torch(
    x: Tensor,
    norm: nn.BatchNorm2d,
    recorded: Sequence[nn.BatchNorm2d],
    statistics: BatchNormStats,
    scale: Tensor | None = None,
) -> Tensor:
    """Return ``norm(x)`` times ``scale`` (C,), and record the batch's statistics for the ``recorded`` BatchNorms.

    In channels_last, torch's BatchNorm adds in single precision on a CPU, pixel after pixel: the mean of a constant
    feature map is off by 1e-4 of it, and so is that of a constant gradient. So x is given relative to its first pixel,
    which leaves nothing of a constant map, and the gradient relative to its mean, of which nothing goes through.
    """
    if not norm.training:
        return F.batch_norm(x, norm.running_mean, norm.running_var, scale, None, False, 0.0, norm.eps)
    assert norm.running_mean is not None
    mean, variance = torch.zeros_like(norm.running_mean), torch.zeros_like(norm.running_mean)
    momentum = 1.0  # mean and variance become the batch's
    shift = None
    if x.device.type == "cpu" and x.dtype is torch.float32:
        shift = x[:1, :, :1, :1].detach()
        x = x - shift
    y = F.batch_norm(x, mean, variance, scale, None, True, momentum, norm.eps)
    if shift is not None:
        mean = mean + shift.flatten()
        if y.requires_grad:
            y.register_hook(_centered)  # type: ignore[no-untyped-call]
    for each in recorded:
        statistics.add(each, mean, variance)
    return y


def _centered(gradient: Tensor) -> Tensor:
    return gradient - gradient.mean((0, 2, 3), keepdim=True)
