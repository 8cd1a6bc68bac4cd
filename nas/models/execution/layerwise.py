"""Modules run layer by layer with the fast kernels, each BatchNorm and the activation after it in one step."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.convolution import convolve, factorized_pointwise, split_pixels
from nas.kernels.node_sum import batch_norm
from nas.kernels.pool import pool
from nas.models.execution.exact_modules import ACTIVATIONS, POOLS, is_exactly, is_plain_batchnorm, layer_settings
from nas.models.execution.fusion_patterns import activation_clamp
from nas.models.execution.layer_chain import layer_chain
from nas.ops.blocks import Residual
from nas.ops.skip import FactorizedPointwise


def run_layers(layers: Sequence[nn.Module], x: Tensor, statistics: BatchNormStats) -> Tensor:
    """Apply the layers in order: (B, C_in, H, W) -> (B, C_out, H', W')."""
    index = 0
    while index < len(layers):
        layer = layers[index]
        index += 1
        if isinstance(layer, nn.BatchNorm2d) and is_plain_batchnorm(layer):
            clamp = activation_clamp(layers[index]) if index < len(layers) else None
            x = batch_norm(x, [layer], clamp, statistics)
            index += clamp is not None
        else:
            x = _run_layer(layer, x)
    return x


def _run_layer(layer: nn.Module, x: Tensor) -> Tensor:
    if layer_settings(layer) is not None:
        if isinstance(layer, nn.Conv2d):
            return convolve(layer, x)
        if isinstance(layer, FactorizedPointwise):
            return run_factorized(layer, split_pixels(x))
        if isinstance(layer, POOLS):
            return pool(layer, x)
        if is_exactly(layer, nn.ReLU):
            return F.relu(x)  # out of place: x may be shared
        if is_exactly(layer, nn.ReLU6):
            return F.relu6(x)
    return layer(x)  # type: ignore[no-any-return]


class LayerwiseRunner:
    """Calls modules layer by layer within one forward pass; modules that start with a ReLU of a tensor share it."""

    def __init__(self, statistics: BatchNormStats) -> None:
        self.statistics = statistics
        self._relus: dict[int, tuple[Tensor, Tensor]] = {}  # by id of the input, which is kept to keep its id unique

    def __call__(self, module: nn.Module, x: Tensor) -> Tensor:
        """Return ``module(x)``; a module of unknown kind is called as it is."""
        chain = layer_chain(module)
        if can_share_relu(chain.layers):
            y = run_layers(chain.layers[1:], self._relu(x), self.statistics)
        else:
            y = run_layers(chain.layers, x, self.statistics)
        if chain.shortcut == 0:
            return y
        assert isinstance(module, Residual)
        return module.add_shortcut(y, x)

    def _relu(self, x: Tensor) -> Tensor:
        if id(x) not in self._relus:
            self._relus[id(x)] = (x, F.relu(x))
        return self._relus[id(x)][1]


def can_share_relu(layers: Sequence[nn.Module]) -> bool:
    """Return whether the layers start with a ReLU and the next one does not change the ReLU's output in place."""
    if not layers or not is_exactly(layers[0], nn.ReLU):
        return False
    return len(layers) == 1 or (type(layers[1]) not in ACTIVATIONS and layer_settings(layers[1]) is not None)


def run_factorized(layer: FactorizedPointwise, inputs: tuple[Tensor, Tensor]) -> Tensor:
    """Apply ``layer`` to the result of :func:`nas.kernels.convolution.split_pixels`: (B, C_out, H', W')."""
    return factorized_pointwise(inputs, (layer.even.weight, layer.odd.weight))
