"""Modules of one build on N edges, run as one: grouped convolutions, and BatchNorms over all their channels.

Shapes: B images, S sources, N edges (:mod:`nas.models.execution.edge_batch`), C channels.
"""

from collections.abc import Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.kernels.batchnorm_stats import BatchNormStats, is_search_batchnorm
from nas.models.execution.edge_batch import EdgeBatch
from nas.models.execution.layer_chain import layer_chain
from nas.ops.skip import FactorizedPointwise

RUNNING = ("running_mean", "running_var")
BY_CHANNEL = (nn.ReLU, nn.ReLU6, nn.MaxPool2d, nn.AvgPool2d)  # to these it is all the same whose channels they are
_known: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def is_known(modules: Sequence[nn.Module]) -> bool:
    """Whether the modules are chains, all of one build, of layers that can be put together."""
    first = modules[0]
    if first not in _known:
        layers = layer_chain(first).layers
        _known[first] = all(map(_is_known, layers)) and len({str(module) for module in modules}) == 1
    return _known[first]


def _is_known(layer: nn.Module) -> bool:
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros"
    return type(layer) in (*BY_CHANNEL, FactorizedPointwise) or is_search_batchnorm(layer)


def run_group(
    modules: Sequence[nn.Module], wave: EdgeBatch, scale: Tensor | None, statistics: BatchNormStats
) -> Tensor:
    """The edges' outputs, (B, N*C, H', W'), times ``scale`` (N*C,); a residual's identity is left out."""
    columns = list(zip(*(layer_chain(module).layers for module in modules), strict=True))
    x, whole = wave.together, False  # whole: every edge has channels of its own
    if columns and type(columns[0][0]) is nn.ReLU:
        x, columns = wave.rectified(), columns[1:]
    for index, column in enumerate(columns):
        layer = column[0]
        by_source = type(layer) is FactorizedPointwise or (type(layer) is nn.Conv2d and layer.groups == 1)
        if type(layer) not in BY_CHANNEL and not whole and not by_source:
            x, whole = wave.spread(x), True
        if is_search_batchnorm(layer):
            last = index == len(columns) - 1
            x = grouped_batch_norm(column, x, scale if last else None, statistics)
            scale = None if last else scale
        else:
            x = _run(column, x, wave.edges if whole else wave.sources)
            whole = whole or type(layer) not in BY_CHANNEL
    x = x if whole else wave.spread(x)
    return x if scale is None else x * scale[:, None, None]


def grouped_batch_norm(
    norms: Sequence[nn.Module], x: Tensor, scale: Tensor | None, statistics: BatchNormStats, times: int = 1
) -> Tensor:
    """BatchNorms over (B, n*C, H, W), ``times`` of them for each part, which see the same; then ``scale`` (n*C,).

    ``scale`` must lie in memory as it is: torch's BatchNorm is wrong with an expanded one.
    """
    parts = cast(Sequence[nn.BatchNorm2d], norms)
    first = parts[0]
    if not first.training:
        mean, variance = (torch.cat([_buffer(norm, name) for norm in parts[::times]]) for name in RUNNING)
        return F.batch_norm(x, mean, variance, scale, None, False, 0.0, first.eps)
    if not statistics.enabled:
        return F.batch_norm(x, None, None, scale, None, True, 0.0, first.eps)
    mean, variance = statistics.zeros(2 * x.shape[1], _buffer(first, RUNNING[0])).view(2, -1).unbind()
    y = F.batch_norm(x, mean, variance, scale, None, True, 1.0, first.eps)  # momentum 1: they become the batch's
    each = (len(parts) // times, -1)
    seen = list(zip(mean.view(each).unbind(), variance.view(each).unbind(), strict=True))
    for index, norm in enumerate(parts):
        statistics.add(norm, *seen[index // times])
    return y


def _buffer(norm: nn.BatchNorm2d, name: str) -> Tensor:
    return cast(Tensor, getattr(norm, name))


def _run(column: Sequence[Any], x: Tensor, parts: int) -> Tensor:
    """A layer of all edges over ``x``, whose channels come in ``parts``: one for each edge, or for each source."""
    layer = column[0]
    if type(layer) is nn.ReLU:
        return F.relu(x)
    if type(layer) is nn.ReLU6:
        return F.relu6(x)
    if type(layer) is nn.Conv2d:
        return grouped_conv(column, x, parts)
    if type(layer) is not FactorizedPointwise:
        y: Tensor = layer(x)
        return y
    even = grouped_conv([halves.even for halves in column], x, parts)
    odd = grouped_conv([halves.odd for halves in column], layer.shift(x), parts)
    return torch.cat([torch.unflatten(half, 1, (len(column), -1)) for half in (even, odd)], dim=2).flatten(1, 2)


def grouped_conv(layers: Sequence[nn.Conv2d], x: Tensor, parts: int) -> Tensor:
    """The convolutions of all edges as one with groups; those of a source stand behind one another in its group."""
    first = layers[0]
    bias = None if first.bias is None else _joined([cast(Tensor, layer.bias) for layer in layers])
    weight = _joined([layer.weight for layer in layers])
    return F.conv2d(x, weight, bias, first.stride, first.padding, first.dilation, parts * first.groups)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(tensors)) if len(tensors) > 1 else tensors[0]
