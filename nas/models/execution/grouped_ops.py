"""Equal modules on N edges run as one: grouped convolutions, and BatchNorms over the channels of all edges.

Shapes: B images, S sources, N edges (:mod:`nas.models.execution.edge_batch`), C channels.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.models.execution.edge_batch import EdgeBatch, split_channels
from nas.models.execution.exact_modules import ACTIVATIONS, POOLS, is_customized, is_plain_batchnorm, layer_settings
from nas.models.execution.layer_chain import LayerChain
from nas.models.functional import functional_call
from nas.ops.skip import FactorizedPointwise

_RUNNING = ("running_mean", "running_var")
_CHANNELWISE = (*ACTIVATIONS, *POOLS)  # without parameters: the sources need not be expanded to edges

Column = tuple[nn.Module, ...]  # the layers at one position of the edges' chains


def group_columns(chains: Sequence[LayerChain]) -> list[Column] | None:
    """Return the chains' layers by position if all edges compute the same function of their tensors; else None.

    Layers may differ in parameters, running statistics, momentum and ``requires_grad``: these stay those of each edge.
    """
    first = chains[0]
    settings = [layer_settings(layer) for layer in first.layers]
    if None in settings:
        return None
    for chain in chains[1:]:
        if chain.shortcut != first.shortcut or [layer_settings(layer) for layer in chain.layers] != settings:
            return None
    return list(zip(*(chain.layers for chain in chains), strict=True))


def have_same_structure(modules: Sequence[nn.Module]) -> bool:
    """Return whether the modules are alike, part by part: class and mode, without hooks."""
    outlines = [[(name, type(part), part.training) for name, part in module.named_modules()] for module in modules]
    alike = all(outline == outlines[0] for outline in outlines[1:])
    return alike and not any(is_customized(part) for module in modules for part in module.modules())


def run_group(columns: Sequence[Column], wave: EdgeBatch, scale: Tensor | None, statistics: BatchNormStats) -> Tensor:
    """Return the edges' outputs, (B, N*C, H', W'), times ``scale`` (N*C,); without the shortcuts of residuals."""
    x, expanded = wave.x, False  # expanded: every edge has channels of its own
    if columns and type(columns[0][0]) is nn.ReLU:
        x, columns = wave.relu(), columns[1:]
    for index, column in enumerate(columns):
        layer = column[0]
        channelwise = type(layer) in _CHANNELWISE
        by_source = type(layer) is FactorizedPointwise or (type(layer) is nn.Conv2d and layer.groups == 1)
        if not (channelwise or expanded or by_source):
            x, expanded = wave.expand(x), True
        if type(layer) is nn.BatchNorm2d:
            last = index == len(columns) - 1
            x = grouped_batch_norm(column, x, scale if last else None, statistics)
            scale = None if last else scale
        else:
            x = _run_column(column, x, wave.num_edges if expanded else wave.num_sources)
            expanded = expanded or not channelwise
    x = x if expanded else wave.expand(x)
    return x if scale is None else x * scale[:, None, None]


def grouped_batch_norm(
    norms: Sequence[nn.Module], x: Tensor, scale: Tensor | None, statistics: BatchNormStats, times: int = 1
) -> Tensor:
    """Apply plain BatchNorms of equal settings to (B, n*C, H, W), ``times`` of them to each part; scale by (n*C,).

    With ``times`` above 1, the BatchNorms must be in training: only then do those of a part compute the same.
    ``scale`` must be contiguous: torch's BatchNorm is wrong with an expanded one.
    """
    parts = cast(Sequence[nn.BatchNorm2d], norms)
    first = parts[0]
    if not first.training:
        mean, variance = (torch.cat([_buffer(norm, name) for norm in parts]) for name in _RUNNING)
        return F.batch_norm(x, mean, variance, scale, None, False, 0.0, first.eps)
    if not statistics.enabled:
        return F.batch_norm(x, None, None, scale, None, True, 0.0, first.eps)
    mean, variance = statistics.zeros(2 * x.shape[1], _buffer(first, _RUNNING[0])).view(2, x.shape[1]).unbind()
    y = F.batch_norm(x, mean, variance, scale, None, True, 1.0, first.eps)  # momentum 1: they become the batch's
    each = (len(parts) // times, x.shape[1] * times // len(parts))
    seen = list(zip(mean.view(each).unbind(), variance.view(each).unbind(), strict=True))
    for index, norm in enumerate(parts):
        statistics.add(norm, *seen[index // times])
    return y


def call_alone(module: nn.Module, x: Tensor, statistics: BatchNormStats) -> object:
    """Return ``module(x)``; its buffers keep their values if statistics are discarded."""
    copies = {} if statistics.enabled else {name: buffer.clone() for name, buffer in module.named_buffers()}
    return functional_call(module, copies, (x,)) if copies else module(x)


def are_equal_norms(norms: Sequence[nn.Module]) -> bool:
    """Return whether all are BatchNorms as in the search, of equal settings."""
    settings = [layer_settings(norm) for norm in norms]
    return all(map(is_plain_batchnorm, norms)) and all(other == settings[0] for other in settings)


def _buffer(norm: nn.BatchNorm2d, name: str) -> Tensor:
    return cast(Tensor, getattr(norm, name))


def _run_column(column: Sequence[Any], x: Tensor, parts: int) -> Tensor:
    """Apply a layer of all edges to ``x``, whose channels come in ``parts``: one per edge, or one per source."""
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
    even = grouped_conv([factorized.even for factorized in column], x, parts)
    odd = grouped_conv([factorized.odd for factorized in column], layer.shift(x), parts)
    return torch.cat([split_channels(half, len(column)) for half in (even, odd)], dim=2).flatten(1, 2)


def grouped_conv(layers: Sequence[nn.Conv2d], x: Tensor, parts: int) -> Tensor:
    """Apply the convolutions of all edges as one with groups; the edges of a source are adjacent in its group."""
    first = layers[0]
    bias = None if first.bias is None else _concatenate([cast(Tensor, layer.bias) for layer in layers])
    weight = _concatenate([layer.weight for layer in layers])
    return F.conv2d(x, weight, bias, first.stride, first.padding, first.dilation, parts * first.groups)


def _concatenate(tensors: Sequence[Tensor]) -> Tensor:
    if len(tensors) == 1:
        return tensors[0]
    if any(tensor.dtype is not tensors[0].dtype for tensor in tensors):
        raise TypeError("the convolutions of an operator must have one dtype on all edges")
    return torch.cat(list(tensors))
