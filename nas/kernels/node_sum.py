"""The sum that makes a node: each term with its BatchNorm and its strength (DARTS, eq. 2).

    out = sum over i of strength[i] * norm_i(x[i])

in one pass over the terms, whose normalized values are never stored. With a single term of strength 1 it is a BatchNorm
followed by ReLU or ReLU6.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.profiler_spans import NOTHING, span
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.conv_chain import ChainRun, GradOutput, Moments, chain_shapes
from nas.kernels.first_order import first_derivative_only
from nas.kernels.memory_format import empty_channels_last, to_channels_last, with_pixel_stride
from nas.kernels.native import NodeSumSizes, call_kernel, check_tensor, pointer_array, supported
from nas.kernels.node_sum_torch import Term, batch_norm_torch, node_sum_torch

_PLAIN, _BATCH, _GIVEN = 0, 1, 2  # as in node_sum.cpp
_TOO_FEW = "expected more than 1 value per channel when training"  # as torch's BatchNorm says


def node_sum(terms: Sequence[Term], strengths: Tensor, statistics: BatchNormStats) -> Tensor:
    """Return the sum (B, C, H, W) of all terms, each times its strength (n,).

    Outputs of different shapes are broadcast as by torch. Raises ValueError for strengths of another shape, and for
    units that the kernels do not support (:func:`nas.kernels.conv_chain.chain_shapes`).
    """
    if not terms or strengths.shape != (len(terms),):
        raise ValueError(f"strengths: given {tuple(strengths.shape)}; wanted ({len(terms)},), one for each term")
    chains = [_chain_run(term) for term in terms]
    shapes = {_output_shape(term, chain) for term, chain in zip(terms, chains, strict=True)}
    if len(shapes) > 1 or len(*shapes) != 4 or not supported(*(term.x for term in terms), strengths):
        return node_sum_torch(
            [_without_units(*pair, statistics) for pair in zip(terms, chains, strict=True)], strengths, statistics
        )
    norms = [[term.norm] if term.norm and term.moments is None else [] for term in terms]
    return _run(terms, chains, strengths, None, statistics, norms, *shapes)


def _chain_run(term: Term) -> ChainRun:
    if not term.units:
        return ChainRun((), ())
    shapes = chain_shapes(term.units, term.x) if term.shapes is None else term.shapes
    if shapes is None or len(shapes) != len(term.units):
        raise ValueError(f"{term.name or 'term'}: units that the kernels do not support on {tuple(term.x.shape)}")
    return ChainRun(term.units, shapes)


def _output_shape(term: Term, chain: ChainRun) -> tuple[int, ...]:
    shape = chain.shapes[-1] if chain.shapes else tuple(term.x.shape)
    if term.shared is not None and not 0 <= term.shared <= shape[1]:
        raise ValueError(f"shared={term.shared}: must lie in 0..{shape[1]}, the channels of the term")
    return shape


def _without_units(term: Term, chain: ChainRun, statistics: BatchNormStats) -> Term:
    """Return the term with its units run by the kernels, which another term beside it does not fit."""
    if not term.units:
        return term
    alone = Term(term.x, units=term.units, name=term.name)
    x = _run([alone], [chain], term.x.new_ones(1), None, statistics, [[]], chain.shapes[-1])
    return replace(term, x=x, units=(), shapes=None)


def batch_norm(
    x: Tensor, norms: Sequence[nn.BatchNorm2d], clamp: tuple[float, float] | None, statistics: BatchNormStats
) -> Tensor:
    """Return ``x`` (B, C, H, W) after a BatchNorm and a clamp (ReLU: (0, inf)).

    It is computed once for all ``norms``, which have the same settings and see the same input.
    """
    if x.ndim == 4 and supported(x):
        return _run(
            [Term(x, norms[0])],
            [ChainRun((), ())],
            torch.ones(1, dtype=x.dtype),
            clamp,
            statistics,
            [norms],
            tuple(x.shape),
        )
    y = batch_norm_torch(x, norms[0], norms, statistics)
    if clamp is None:
        return y
    return F.relu(y) if clamp == (0.0, float("inf")) else F.hardtanh(y, *clamp)


def batch_moments(x: Tensor, norms: Sequence[nn.BatchNorm2d], statistics: BatchNormStats) -> Moments | None:
    """Return mean and variance of ``x`` (B, C, H, W), and record them for ``norms``; None without training or kernels.

    A term with moments is normalized in every sum that it is part of, and its normalized value is never stored.
    """
    if x.ndim != 4 or not supported(x) or not norms[0].training:
        return None
    channels, pixels = x.shape[1], x.numel() // x.shape[1]
    if pixels < 2:
        raise ValueError(_TOO_FEW)
    moments = Moments.empty(channels)
    call_kernel("moments", x.dtype, to_channels_last(x), pixels, channels, *moments.addresses)
    if statistics.enabled:
        mean, var = _unbiased(moments.values[0, 0], moments.values[1, 0], pixels, x.dtype)
        for norm in norms:
            statistics.add(norm, mean, var)
    return moments


@dataclass
class NodeSumPlan:
    """What the kernels need besides the tensors; they write the terms' means and variances to ``moments`` (2, n, C).

    It holds no tensors of the network: it lasts until the backward pass, they need not.
    """

    names: list[str]
    inputs: list[int]  # for each term, the index of its input among the tensors
    chains: list[ChainRun]
    norm: list[int]
    known: list[bool]  # whether a term's moments are there before the sum
    shared: list[int]
    eps: list[float]
    clamp: tuple[float, float] | None
    moments: Tensor
    shape: tuple[int, ...]  # of the sum

    @property
    def sizes(self) -> NodeSumSizes:
        """The sizes for the kernels."""
        batch, channels, height, width = self.shape
        low, high = self.clamp or (0.0, 0.0)
        return NodeSumSizes(len(self.norm), batch * height * width, channels, self.clamp is not None, low, high)

    def arguments(self, outputs: Sequence[Tensor], norm: list[int], strengths: list[float]) -> list[object]:
        """Return the first arguments of both kernels."""
        integers, reals = ctypes.c_int64 * len(norm), ctypes.c_double * len(norm)
        values = [integers(*norm), integers(*self.shared), reals(*strengths), reals(*self.eps)]
        return [self.sizes, pointer_array(outputs), *values, *Moments(self.moments).addresses]


def _run(
    terms: Sequence[Term],
    chains: list[ChainRun],
    strengths: Tensor,
    clamp: tuple[float, float] | None,
    statistics: BatchNormStats,
    norms: Sequence[Sequence[nn.BatchNorm2d]],
    shape: tuple[int, ...],
) -> Tensor:
    moments = torch.zeros(2, len(terms), shape[1], dtype=torch.float64)
    plan = NodeSumPlan([], [], chains, [], [], [], [], clamp, moments, shape)
    weights = [weight for term in terms for unit in term.units for weight in unit.weights]
    tensors: dict[object, Tensor] = {}  # all that is made of the same node shares its gradient ...
    direct: set[int] = set()  # ... but only one term writes it as a whole
    for index, term in enumerate(terms):
        key = id(term.x) if term.units or id(term.x) not in direct else (index,)
        tensors.setdefault(key, term.x)
        if not term.units:
            direct.add(id(term.x))
        plan.names.append(term.name)
        plan.inputs.append(list(tensors).index(key))
        _add_norm(plan, term, index)
    result: Tensor = _NodeSum.apply(plan, strengths, *tensors.values(), *weights)
    pixels = result.numel() // shape[1]
    if pixels < 2 and (_BATCH in plan.norm or any(chain.batch_stats for chain in plan.chains)):
        raise ValueError(_TOO_FEW)
    if statistics.enabled:
        _record(plan, pixels, terms[0].x.dtype, norms, statistics)
    return result


def _add_norm(plan: NodeSumPlan, term: Term, index: int) -> None:
    """Add to the plan how a term is normalized, with its moments if they are known."""
    norm, channels = term.norm, plan.shape[1]
    plan.norm.append(_PLAIN if norm is None else _BATCH if norm.training else _GIVEN)
    plan.known.append(bool(term.units) or term.moments is not None)
    plan.shared.append(channels if term.shared is None else term.shared)
    plan.eps.append(0.0 if norm is None else norm.eps)
    if term.moments is not None:
        if term.moments.values.shape[2] != channels:
            raise ValueError(f"moments: given {term.moments.values.shape[2]} channels; wanted {channels}")
        plan.moments[:, index] = term.moments.values[:, term.moments.row]
    elif norm is not None and not norm.training:
        for row, values in enumerate((norm.running_mean, norm.running_var)):
            if values is None or values.shape != (channels,):
                raise ValueError(f"running statistics: given {norm.num_features} channels; wanted {channels}")
            plan.moments[row, index] = values


def _record(
    plan: NodeSumPlan,
    pixels: int,
    dtype: torch.dtype,
    norms: Sequence[Sequence[nn.BatchNorm2d]],
    statistics: BatchNormStats,
) -> None:
    """Record the batch statistics of all BatchNorms."""
    for chain in plan.chains:
        for norm, mean, var, count in chain.batch_stats:
            statistics.add(norm, *_unbiased(mean, var, count, dtype))
    if _BATCH not in plan.norm:
        return
    means, variances = _unbiased(plan.moments[0], plan.moments[1], pixels, dtype)
    for flag, mean, variance, recorded in zip(plan.norm, means.unbind(), variances.unbind(), norms, strict=True):
        for norm in recorded if flag == _BATCH else ():
            statistics.add(norm, mean, variance)


def _unbiased(mean: Tensor, var: Tensor, pixels: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the mean and the unbiased variance, as running statistics take them."""
    return mean.to(dtype), (var * (pixels / (pixels - 1))).to(dtype)


class _NodeSum(torch.autograd.Function):
    """The kernels of ``node_sum.cpp`` and ``conv_unit.h`` with their gradient."""

    @staticmethod
    def forward(ctx: Any, plan: NodeSumPlan, strengths: Tensor, *tensors: Tensor) -> Tensor:
        count = max(plan.inputs) + 1
        xs, weights = [to_channels_last(x) for x in tensors[:count]], tensors[count:]
        remaining = iter(weights)
        chain_outputs: list[list[Tensor]] = []
        for index, (name, chain) in enumerate(zip(plan.names, plan.chains, strict=True)):
            moments = Moments(plan.moments, index) if plan.norm[index] == _BATCH else None
            with span(name) if chain.units else NOTHING:
                own = list(islice(remaining, chain.weight_count))
                chain_outputs.append(chain.forward(xs[plan.inputs[index]], own, moments))
        outputs = _term_outputs(plan, xs, chain_outputs)
        out = empty_channels_last(plan.shape, xs[0])
        values = strengths.tolist()
        norm = [_GIVEN if seen and norm == _BATCH else norm for seen, norm in zip(plan.known, plan.norm, strict=True)]
        call_kernel("node_sum_forward", out.dtype, *plan.arguments(outputs, norm, values), out)
        saved = [*xs, *weights, *(z for zs in chain_outputs for z in zs)]
        ctx.save_for_backward(*saved)
        ctx.plan, ctx.strengths, ctx.counts, ctx.dtype = plan, values, (count, len(weights)), out.dtype
        ctx.shapes = [x.shape for x in saved]
        return out

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        plan: NodeSumPlan = ctx.plan
        xs, weights, chain_outputs = _restore(ctx)
        needs_grad = ctx.needs_input_grad[2:]
        outputs = _term_outputs(plan, xs, chain_outputs)
        grad, stride = with_pixel_stride(check_tensor("grad_output", grad_output, plan.shape, ctx.dtype))
        grad_xs = [
            empty_channels_last(x.shape, x) if needed else None for x, needed in zip(xs, needs_grad, strict=False)
        ]
        direct = [None if zs else grad_xs[at] for zs, at in zip(chain_outputs, plan.inputs, strict=True)]
        grad_strengths = torch.empty(len(outputs), dtype=torch.float64)
        rows = grad.new_empty(len(outputs), 4, plan.shape[1])
        arguments = [*plan.arguments(outputs, plan.norm, ctx.strengths), grad, stride, grad_strengths, rows]
        call_kernel("node_sum_backward", ctx.dtype, *arguments, pointer_array(direct))
        grad_weights: list[Tensor | None] = []
        written = {at for at, zs in zip(plan.inputs, chain_outputs, strict=True) if not zs}  # of grad_xs
        for index, (chain, zs) in enumerate(zip(plan.chains, chain_outputs, strict=True)):
            if not zs:
                continue
            at, part = plan.inputs[index], slice(len(grad_weights), len(grad_weights) + chain.weight_count)
            with span(plan.names[index]):
                own = GradOutput(grad, stride, zs[-1], rows[index])
                needed = needs_grad[len(xs) :][part]
                grad_weights += chain.backward(xs[at], zs, weights[part], own, grad_xs[at], at in written, needed)
            written.add(at)
        return None, grad_strengths.to(ctx.dtype), *grad_xs, *grad_weights


def _term_outputs(plan: NodeSumPlan, xs: Sequence[Tensor], chain_outputs: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    return [zs[-1] if zs else xs[at] for zs, at in zip(chain_outputs, plan.inputs, strict=True)]


def _restore(ctx: Any) -> tuple[list[Tensor], list[Tensor], list[list[Tensor]]]:
    """Return the saved inputs, weights and outputs of each chain; hooks on saved tensors may have changed them."""
    saved = zip(ctx.saved_tensors, ctx.shapes, strict=True)
    remaining = iter([check_tensor("saved tensor", x, shape, ctx.dtype) for x, shape in saved])
    xs, weights = (list(islice(remaining, count)) for count in ctx.counts)
    outputs = [[to_channels_last(z) for z in islice(remaining, len(chain.units))] for chain in ctx.plan.chains]
    return [to_channels_last(x) for x in xs], weights, outputs
