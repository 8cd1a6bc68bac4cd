"""A node's sum over its edges and operators, each term with its BatchNorm and its strength (DARTS, eq. 2).

    out = sum over i of strength[i] * norm_i(x[i])

in one pass over the terms, whose normalised values are never stored. With a single term of strength 1 it is a BatchNorm
with the ReLU or ReLU6 behind it.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nas.kernels import layout
from nas.kernels.library import call, pointers, usable
from nas.kernels.statistics import Statistics

PLAIN, BATCH, GIVEN = 0, 1, 2  # as in kernels.cpp


@dataclass(frozen=True)
class Term:
    """An operator's output (B, C, H, W) in front of its last BatchNorm ``norm``, without scale and shift of its own.

    Without a norm the output counts as it is, and where ``shared`` is given its first ``shared`` channels alone.
    """

    x: Tensor
    norm: nn.BatchNorm2d | None = None
    shared: int | None = None


def mix(terms: Sequence[Term], strengths: Tensor, statistics: Statistics) -> Tensor:
    """The sum of all terms, each times its strength (n,): (B, C, H, W)."""
    if not usable(*(term.x for term in terms), strengths):
        return _mix_by_torch(terms, strengths, statistics)
    return _run(terms, strengths, None, statistics, [[term.norm] if term.norm else [] for term in terms])


def normalise(
    x: Tensor, norms: Sequence[nn.BatchNorm2d], clamp: tuple[float, float] | None, statistics: Statistics
) -> Tensor:
    """``x`` (B, C, H, W) behind a BatchNorm and a clamp (ReLU: (0, inf)), once for all ``norms`` that see the same."""
    if not usable(x):
        y = _normalise_by_torch(x, norms, statistics)
        return y if clamp is None else y.clamp(*clamp)
    return _run([Term(x, norms[0])], torch.ones(1, dtype=x.dtype), clamp, statistics, [norms])


@dataclass
class Plan:
    """What the kernels want to know besides the tensors; they add the means and variances (n, C) that they saw."""

    norm: list[int]
    shared: list[int]
    eps: list[float]
    clamp: tuple[float, float] | None
    mean: Tensor
    var: Tensor
    dtype: torch.dtype  # of the BatchNorms

    def arguments(self, strengths: list[float]) -> list[object]:
        """The arguments in the order of the kernels', between the terms' addresses and the sizes."""
        n = len(self.norm)
        whole, real = ctypes.c_int64 * n, ctypes.c_double * n
        return [whole(*self.norm), whole(*self.shared), real(*strengths), real(*self.eps), self.mean, self.var]


def _run(
    terms: Sequence[Term],
    strengths: Tensor,
    clamp: tuple[float, float] | None,
    statistics: Statistics,
    norms: Sequence[Sequence[nn.BatchNorm2d]],
) -> Tensor:
    batch, channels, height, width = terms[0].x.shape
    seen = torch.zeros(2, len(terms), channels, dtype=torch.float64)
    plan = Plan([], [], [], clamp, seen[0], seen[1], terms[0].x.dtype)
    for index, term in enumerate(terms):
        norm = term.norm
        plan.norm.append(PLAIN if norm is None else BATCH if norm.training else GIVEN)
        plan.shared.append(channels if term.shared is None else term.shared)
        plan.eps.append(0.0 if norm is None else norm.eps)
        if norm is not None and not norm.training:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            plan.mean[index], plan.var[index] = norm.running_mean, norm.running_var
    result: Tensor = _Mix.apply(plan, strengths, *(term.x for term in terms))
    if BATCH in plan.norm:
        _keep(plan, batch * height * width, norms, statistics)
    return result


def _keep(plan: Plan, pixels: int, norms: Sequence[Sequence[nn.BatchNorm2d]], statistics: Statistics) -> None:
    """Note what the BatchNorms saw: the unbiased variance, in their own number format."""
    if pixels < 2:
        raise ValueError("expected more than 1 value per channel when training")  # as torch's BatchNorm says
    if not statistics.kept:
        return
    means, variances = plan.mean.to(plan.dtype), (plan.var * (pixels / (pixels - 1))).to(plan.dtype)
    for flag, mean, variance, seen_by in zip(plan.norm, means.unbind(), variances.unbind(), norms, strict=True):
        for norm in seen_by if flag == BATCH else ():
            statistics.add(norm, mean, variance)


class _Mix(torch.autograd.Function):
    """The kernels of ``kernels.cpp`` with their gradient."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, strengths: Tensor, *terms: Tensor) -> Tensor:
        xs = [layout.dense(x) for x in terms]
        out = layout.empty(xs[0].shape, xs[0])
        low, high = plan.clamp or (0.0, 0.0)
        sizes = [out.numel() // out.shape[1], out.shape[1], plan.clamp is not None, low, high]
        values = strengths.tolist()
        call("mix_forward", out.dtype, len(xs), pointers(xs), *plan.arguments(values), *sizes, out)
        ctx.save_for_backward(*xs)
        ctx.plan, ctx.strengths, ctx.sizes = plan, values, sizes
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        xs, plan = ctx.saved_tensors, ctx.plan
        gradient, step = layout.in_steps(gradient)
        asked = zip(xs, ctx.needs_input_grad[2:], strict=True)
        wanted = [layout.empty(x.shape, x) if want else None for x, want in asked]
        slope = torch.empty(len(xs), dtype=torch.float64)
        arguments = [*plan.arguments(ctx.strengths), *ctx.sizes, gradient, step, slope, pointers(wanted)]
        call("mix_backward", gradient.dtype, len(xs), pointers(list(xs)), *arguments)
        return None, slope.to(gradient.dtype), *wanted


def _mix_by_torch(terms: Sequence[Term], strengths: Tensor, statistics: Statistics) -> Tensor:
    total: Tensor | None = None
    for term, strength in zip(terms, strengths, strict=True):
        if term.norm is not None:
            # A scale per channel, in memory: torch's BatchNorm in channels_last is wrong with an expanded one.
            y = _normalise_by_torch(term.x, [term.norm], statistics, strength.expand(term.x.shape[1]).contiguous())
        elif term.shared is None:
            y = strength * term.x
        else:
            y = F.pad(strength * term.x[:, : term.shared], (0, 0, 0, 0, 0, term.x.shape[1] - term.shared))
        total = y if total is None else total + y
    assert total is not None
    return total


def _normalise_by_torch(
    x: Tensor, norms: Sequence[nn.BatchNorm2d], statistics: Statistics, scale: Tensor | None = None
) -> Tensor:
    norm = norms[0]
    if not norm.training:
        return F.batch_norm(x, norm.running_mean, norm.running_var, scale, None, False, 0.0, norm.eps)
    assert norm.running_mean is not None
    mean, variance = torch.zeros_like(norm.running_mean), torch.zeros_like(norm.running_mean)
    y = F.batch_norm(x, mean, variance, scale, None, True, 1.0, norm.eps)  # momentum 1: they become the batch's
    for each in norms:
        statistics.add(each, mean, variance)
    return y
