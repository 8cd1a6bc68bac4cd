"""A node's sum over its edges and operators, each term with its BatchNorm and its strength (DARTS, eq. 2).

    out = sum over i of strength[i] * norm_i(x[i])

in one pass over the terms, whose normalised values are never stored. With a single term of strength 1 it is a BatchNorm
with the ReLU or ReLU6 behind it.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nas.core.profiler_spans import NOTHING, span
from nas.kernels import memory_format
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.build import call_kernel, pointer_array, supported
from nas.kernels.conv_chain import ChainRun, ConvUnit, Moments, batch_norm_torch, run_chain_torch

PLAIN, BATCH, GIVEN = 0, 1, 2  # as in node_sum.cpp
TOO_FEW = "expected more than 1 value per channel when training"  # as torch's BatchNorm says


@dataclass(frozen=True)
class Term:
    """An operator's output (B, C, H, W) in front of its last BatchNorm ``norm``, without scale and shift of its own.

    The output is ``x``, or what the ``links`` make of it; their time is that of ``name``. Without a norm the output
    counts as it is, and where ``shared`` is given its first ``shared`` channels alone. ``moments`` are those of ``x``
    where they are known (:func:`batch_moments`).
    """

    x: Tensor
    norm: nn.BatchNorm2d | None = None
    shared: int | None = None
    units: tuple[ConvUnit, ...] = ()
    name: str = ""
    moments: Moments | None = None


def node_sum(terms: Sequence[Term], strengths: Tensor, statistics: BatchNormStats) -> Tensor:
    """The sum of all terms, each times its strength (n,): (B, C, H, W)."""
    if not supported(*(term.x for term in terms), strengths):
        return _mix_by_torch(terms, strengths, statistics)
    norms = [[term.norm] if term.norm and term.moments is None else [] for term in terms]
    return _run(terms, strengths, None, statistics, norms)


def batch_norm(
    x: Tensor, norms: Sequence[nn.BatchNorm2d], clamp: tuple[float, float] | None, statistics: BatchNormStats
) -> Tensor:
    """``x`` (B, C, H, W) behind a BatchNorm and a clamp (ReLU: (0, inf)), once for all ``norms`` that see the same."""
    if not supported(x):
        y = batch_norm_torch(x, norms, statistics)
        return y if clamp is None else y.clamp(*clamp)
    return _run([Term(x, norms[0])], torch.ones(1, dtype=x.dtype), clamp, statistics, [norms])


def batch_moments(x: Tensor, norms: Sequence[nn.BatchNorm2d], statistics: BatchNormStats) -> Moments | None:
    """Mean and variance of ``x`` (B, C, H, W), as all ``norms`` see them; None where they or the kernels do not.

    A term with them is normalised in every sum that it is part of, and nowhere stored.
    """
    if not supported(x) or not norms[0].training:
        return None
    channels, pixels = x.shape[1], x.numel() // x.shape[1]
    if pixels < 2:
        raise ValueError(TOO_FEW)
    found = Moments.room(channels)
    call_kernel("moments", x.dtype, memory_format.to_channels_last(x), pixels, channels, *found.addresses)
    if statistics.enabled:
        mean, var = _running_values(found.values[0, 0], found.values[1, 0], pixels, x.dtype)
        for norm in norms:
            statistics.add(norm, mean, var)
    return found


@dataclass
class NodeSumPlan:
    """What the kernels want to know besides the tensors; they add the means and variances (2, n, C) that they saw.

    Tensors of the network are none of its own: it lasts until the backward pass, they need not.
    """

    names: list[str]
    inputs: list[int]  # which of the tensors each term is, or is made of
    chains: list[ChainRun]
    norm: list[int]
    known: list[bool]  # whether what they are normalised by is seen beforehand
    shared: list[int]
    eps: list[float]
    clamp: tuple[float, float] | None
    seen: Tensor

    def arguments(self, norm: list[int], strengths: list[float]) -> list[object]:
        """The arguments in the order of the kernels', between the terms' addresses and the sizes."""
        n = len(norm)
        whole, real = ctypes.c_int64 * n, ctypes.c_double * n
        mean, var = Moments(self.seen).addresses
        return [whole(*norm), whole(*self.shared), real(*strengths), real(*self.eps), mean, var]


def _run(
    terms: Sequence[Term],
    strengths: Tensor,
    clamp: tuple[float, float] | None,
    statistics: BatchNormStats,
    norms: Sequence[Sequence[nn.BatchNorm2d]],
) -> Tensor:
    channels = terms[0].units[-1].channels if terms[0].units else terms[0].x.shape[1]
    seen = torch.zeros(2, len(terms), channels, dtype=torch.float64)
    plan = NodeSumPlan([], [], [], [], [], [], [], clamp, seen)
    weights = [weight for term in terms for link in term.units for weight in link.weights]
    tensors: dict[object, Tensor] = {}  # all that is made of the same node shares its gradient ...
    direct: set[int] = set()  # ... but only one term writes it as a whole
    for index, term in enumerate(terms):
        key = id(term.x) if term.units or id(term.x) not in direct else (index,)
        tensors.setdefault(key, term.x)
        if not term.units:
            direct.add(id(term.x))
        plan.names.append(term.name)
        plan.inputs.append(list(tensors).index(key))
        plan.chains.append(ChainRun(term.units))
        norm = term.norm
        plan.norm.append(PLAIN if norm is None else BATCH if norm.training else GIVEN)
        plan.known.append(bool(term.units) or term.moments is not None)
        if term.moments is not None:
            seen[:, index] = term.moments.values[:, term.moments.row]
        plan.shared.append(channels if term.shared is None else term.shared)
        plan.eps.append(0.0 if norm is None else norm.eps)
        if norm is not None and not norm.training:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            seen[0, index], seen[1, index] = norm.running_mean, norm.running_var
    result: Tensor = _Mix.apply(plan, strengths, *tensors.values(), *weights)
    pixels = result.numel() // channels
    if pixels < 2 and (BATCH in plan.norm or any(chain.seen for chain in plan.chains)):
        raise ValueError(TOO_FEW)
    if statistics.enabled:
        _keep(plan, pixels, terms[0].x.dtype, norms, statistics)
    return result


def _keep(
    plan: NodeSumPlan,
    pixels: int,
    dtype: torch.dtype,
    norms: Sequence[Sequence[nn.BatchNorm2d]],
    statistics: BatchNormStats,
) -> None:
    """Note what the BatchNorms saw."""
    for chain in plan.chains:
        for norm, mean, var, count in chain.seen:
            statistics.add(norm, *_running_values(mean, var, count, dtype))
    if BATCH not in plan.norm:
        return
    means, variances = _running_values(plan.seen[0], plan.seen[1], pixels, dtype)
    for flag, mean, variance, seen_by in zip(plan.norm, means.unbind(), variances.unbind(), norms, strict=True):
        for norm in seen_by if flag == BATCH else ():
            statistics.add(norm, mean, variance)


def _running_values(mean: Tensor, var: Tensor, pixels: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """What running statistics move to: the mean and the unbiased variance, in their own number format."""
    return mean.to(dtype), (var * (pixels / (pixels - 1))).to(dtype)


class _Mix(torch.autograd.Function):
    """The kernels of ``node_sum.cpp`` and ``conv_unit.h`` with their gradient."""

    @staticmethod
    def forward(ctx: Any, plan: NodeSumPlan, strengths: Tensor, *tensors: Tensor) -> Tensor:
        count = max(plan.inputs) + 1
        xs, weights = [memory_format.to_channels_last(x) for x in tensors[:count]], tensors[count:]
        remaining = iter(weights)
        made: list[list[Tensor]] = []
        for index, (name, chain) in enumerate(zip(plan.names, plan.chains, strict=True)):
            moments = Moments(plan.seen, index) if plan.norm[index] == BATCH else None
            with span(name) if chain.units else NOTHING:
                own = list(islice(remaining, chain.weights))
                made.append(chain.forward(xs[plan.inputs[index]], own, moments))
        outputs = [zs[-1] if zs else xs[at] for zs, at in zip(made, plan.inputs, strict=True)]
        out = memory_format.empty_channels_last(outputs[0].shape, outputs[0])
        low, high = plan.clamp or (0.0, 0.0)
        sizes = [out.numel() // out.shape[1], out.shape[1], plan.clamp is not None, low, high]
        values = strengths.tolist()
        known = [GIVEN if seen and norm == BATCH else norm for seen, norm in zip(plan.known, plan.norm, strict=True)]
        call_kernel(
            "mix_forward", out.dtype, len(outputs), pointer_array(outputs), *plan.arguments(known, values), *sizes, out
        )
        ctx.save_for_backward(*xs, *weights, *(z for zs in made for z in zs))
        ctx.plan, ctx.strengths, ctx.sizes, ctx.counts = plan, values, sizes, (count, len(weights))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        plan: NodeSumPlan = ctx.plan
        remaining = iter(ctx.saved_tensors)
        xs, weights = (list(islice(remaining, count)) for count in ctx.counts)
        made = [list(islice(remaining, len(chain.units))) for chain in plan.chains]
        asked = ctx.needs_input_grad[2:]
        outputs = [zs[-1] if zs else xs[at] for zs, at in zip(made, plan.inputs, strict=True)]
        gradient, step = memory_format.with_pixel_stride(gradient)
        by_x: list[Tensor | None] = [
            memory_format.empty_channels_last(x.shape, x) if want else None for x, want in zip(xs, asked, strict=False)
        ]
        direct = [None if zs else by_x[at] for zs, at in zip(made, plan.inputs, strict=True)]
        slope = torch.empty(len(outputs), dtype=torch.float64)
        coefficients = gradient.new_empty(len(outputs), 3, gradient.shape[1])
        arguments = [*plan.arguments(plan.norm, ctx.strengths), *ctx.sizes, gradient, step, slope, coefficients]
        call_kernel(
            "mix_backward", gradient.dtype, len(outputs), pointer_array(outputs), *arguments, pointer_array(direct)
        )
        by_weights: list[Tensor | None] = []
        begun = {at for at, zs in zip(plan.inputs, made, strict=True) if not zs}  # inputs with a gradient already
        for index, (chain, zs) in enumerate(zip(plan.chains, made, strict=True)):
            if not zs:
                continue
            at, part = plan.inputs[index], slice(len(by_weights), len(by_weights) + chain.weights)
            with span(plan.names[index]):
                given = (gradient, step, zs[-1], coefficients[index])
                wanted = asked[len(xs) :][part]
                by_weights += chain.backward(xs[at], zs, weights[part], given, by_x[at], at in begun, wanted)
            begun.add(at)
        return None, slope.to(gradient.dtype), *by_x, *by_weights


def _mix_by_torch(terms: Sequence[Term], strengths: Tensor, statistics: BatchNormStats) -> Tensor:
    total: Tensor | None = None
    for term, strength in zip(terms, strengths, strict=True):
        x = run_chain_torch(term.units, term.x, statistics)
        if term.norm is not None:
            # A scale per channel, in memory: torch's BatchNorm in channels_last is wrong with an expanded one.
            y = batch_norm_torch(x, [term.norm], statistics, strength.expand(x.shape[1]).contiguous())
        elif term.shared is None:
            y = strength * x
        else:
            y = F.pad(strength * x[:, : term.shared], (0, 0, 0, 0, 0, x.shape[1] - term.shared))
        total = y if total is None else total + y
    assert total is not None
    return total
