"""Chains of layers as the units that the compiled kernels run in one call."""

import math
from collections.abc import Sequence

from torch import nn

from nas.kernels.conv_chain import Clamp, ConvUnit
from nas.kernels.convolution import DEPTHWISE_KERNELS, is_depthwise, is_pointwise
from nas.models.execution.exact_modules import is_exactly, is_plain_batchnorm, layer_settings
from nas.ops.skip import FactorizedPointwise


def activation_clamp(layer: nn.Module | None) -> Clamp | None:
    """Return the bounds of an activation's output; None for other layers."""
    if is_exactly(layer, nn.ReLU):
        return (0.0, math.inf)
    return (0.0, 6.0) if is_exactly(layer, nn.ReLU6) else None


def conv_units(layers: Sequence[nn.Module]) -> tuple[ConvUnit, ...]:
    """Return the layers as units; an empty tuple if the kernels do not know a layer or the order of layers."""
    units: list[ConvUnit] = []
    norm: nn.BatchNorm2d | None = None
    clamp: Clamp | None = None
    depthwise: nn.Conv2d | None = None
    for layer in (*layers, None):
        conv = layer if isinstance(layer, nn.Conv2d) and is_exactly(layer, nn.Conv2d) else None
        pointwise = conv if conv is not None and conv.bias is None and is_pointwise(conv) else None
        if depthwise is not None and pointwise is None:  # a unit without a pointwise convolution ends here
            units.append(ConvUnit(norm, clamp, depthwise, ()))
            norm = clamp = depthwise = None
        if layer is None:
            break
        if pointwise is not None:
            units.append(ConvUnit(norm, clamp, depthwise, (pointwise,)))
            norm = clamp = depthwise = None
        elif isinstance(layer, FactorizedPointwise) and _is_splittable(layer):
            units.append(ConvUnit(norm, clamp, None, (layer.even, layer.odd)))
            norm = clamp = None
        elif conv is not None and _is_supported_depthwise(conv):
            depthwise = conv
        elif isinstance(layer, nn.BatchNorm2d) and is_plain_batchnorm(layer) and units and not (norm or clamp):
            norm = layer
        elif clamp is None and (bounds := activation_clamp(layer)) is not None:
            clamp = bounds
        else:
            return ()
    return tuple(units) if norm is None and clamp is None else ()


def _is_splittable(layer: FactorizedPointwise) -> bool:
    return layer_settings(layer) is not None and layer.even.out_channels > 0


def _is_supported_depthwise(conv: nn.Conv2d) -> bool:
    return conv.bias is None and conv.kernel_size[0] in DEPTHWISE_KERNELS and is_depthwise(conv)
