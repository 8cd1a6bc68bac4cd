"""Layers run one behind the other by the fast kernels, BatchNorm and the activation behind it in one step."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from nas.kernels.batchnorm_stats import BatchNormStats, is_search_batchnorm
from nas.kernels.convolution import convolve, factorized_pointwise, split_pixels
from nas.kernels.node_sum import batch_norm
from nas.kernels.pool import pool
from nas.models.execution.fusion_patterns import activation_clamp
from nas.models.execution.layer_chain import layer_chain
from nas.ops.blocks import Residual
from nas.ops.skip import FactorizedPointwise


def run_layers(layers: Sequence[nn.Module], x: Tensor, statistics: BatchNormStats) -> Tensor:
    """(B, C_in, H, W) -> (B, C_out, H', W')."""
    index = 0
    while index < len(layers):
        layer = layers[index]
        if isinstance(layer, nn.BatchNorm2d) and is_search_batchnorm(layer):
            clamp = activation_clamp(layers[index + 1]) if index + 1 < len(layers) else None
            x = batch_norm(x, [layer], clamp, statistics)
            index += 1 if clamp is None else 2
            continue
        if type(layer) is nn.Conv2d:
            x = convolve(layer, x)
        elif type(layer) is FactorizedPointwise:
            x = run_halves(layer, split_pixels(x))
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            x = pool(layer, x)
        else:
            x = layer(x)
        index += 1
    return x


class LayerwiseRunner:
    """Runs modules layer by layer, and a ReLU that several of them begin with once: within one pass of a network."""

    def __init__(self, statistics: BatchNormStats) -> None:
        self.statistics = statistics
        self._relus: dict[int, tuple[Tensor, Tensor]] = {}  # by the input's identity, which lasts as long as it is kept

    def __call__(self, module: nn.Module, x: Tensor) -> Tensor:
        """As ``module(x)``; a module of unknown kind runs as it is."""
        layers = layer_chain(module).layers
        if layers and type(layers[0]) is nn.ReLU:
            y = run_layers(layers[1:], self._relu(x), self.statistics)
        else:
            y = run_layers(layers, x, self.statistics)
        return module.add_shortcut(y, x) if type(module) is Residual else y

    def _relu(self, x: Tensor) -> Tensor:
        if id(x) not in self._relus:
            self._relus[id(x)] = (x, F.relu(x))
        return self._relus[id(x)][1]


def run_halves(layer: FactorizedPointwise, halves: tuple[Tensor, Tensor]) -> Tensor:
    """``layer`` of the two that :func:`nas.kernels.convolution.split_pixels` makes of its input: (B, C_out, H', W')."""
    return factorized_pointwise(halves, (layer.even.weight, layer.odd.weight))
