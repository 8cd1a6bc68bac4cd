"""Operators taken apart into the links that the compiled kernels run in one go."""

import math
from collections.abc import Sequence

from torch import nn

from nas.kernels.batchnorm_stats import is_search_batchnorm
from nas.kernels.conv_chain import Clamp, ConvUnit
from nas.kernels.convolution import DEPTHWISE_KERNELS, is_depthwise, is_pointwise
from nas.ops.skip import FactorizedPointwise


def activation_clamp(layer: nn.Module | None) -> Clamp | None:
    """What an activation limits its input to; None for layers of another kind."""
    return (0.0, math.inf) if type(layer) is nn.ReLU else (0.0, 6.0) if type(layer) is nn.ReLU6 else None


def conv_units(layers: Sequence[nn.Module]) -> tuple[ConvUnit, ...]:
    """The layers as links; none where a layer, or the order of layers, is of another kind."""
    found: list[ConvUnit] = []
    norm: nn.BatchNorm2d | None = None
    clamp: Clamp | None = None
    depthwise: nn.Conv2d | None = None
    for layer in (*layers, None):
        joins = depthwise is not None and isinstance(layer, nn.Conv2d) and _is_pointwise(layer)
        if depthwise is not None and not joins:  # it is a link without a pointwise convolution
            found.append(ConvUnit(norm, clamp, depthwise, ()))
            norm = clamp = depthwise = None
        if layer is None:
            break
        if isinstance(layer, nn.Conv2d) and _is_pointwise(layer):
            found.append(ConvUnit(norm, clamp, depthwise, (layer,)))
            norm = clamp = depthwise = None
        elif type(layer) is FactorizedPointwise and layer.even.out_channels:
            found.append(ConvUnit(norm, clamp, None, (layer.even, layer.odd)))
            norm = clamp = None
        elif isinstance(layer, nn.Conv2d) and _is_depthwise(layer):
            depthwise = layer
        elif (
            isinstance(layer, nn.BatchNorm2d)
            and is_search_batchnorm(layer)
            and found
            and norm is None
            and clamp is None
        ):
            norm = layer
        elif clamp is None and activation_clamp(layer) is not None:
            clamp = activation_clamp(layer)
        else:
            return ()
    return tuple(found) if norm is None and clamp is None else ()


def _is_pointwise(layer: nn.Conv2d) -> bool:
    return type(layer) is nn.Conv2d and layer.bias is None and is_pointwise(layer)


def _is_depthwise(layer: nn.Conv2d) -> bool:
    known = type(layer) is nn.Conv2d and layer.bias is None and layer.kernel_size[0] in DEPTHWISE_KERNELS
    return known and is_depthwise(layer)
