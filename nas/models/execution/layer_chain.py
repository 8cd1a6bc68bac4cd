"""An operator's module as a chain of layers, as far as its containers are exactly known."""

from dataclasses import dataclass
from typing import cast

from torch import nn

from nas.models.execution.exact_modules import POOLS, is_exactly, is_plain_batchnorm, is_sequential, layer_settings
from nas.ops.blocks import Residual


@dataclass(frozen=True)
class LayerChain:
    """A module as a chain of layers, and the channels of its input that a shortcut adds to the chain's output.

    ``last_norm`` is the layer at the end, if it is a BatchNorm without scale and shift.
    """

    layers: tuple[nn.Module, ...]
    shortcut: int | None = 0  # None: all channels
    last_norm: nn.BatchNorm2d | None = None

    @property
    def is_normalized_pool(self) -> bool:
        """Whether the chain is a known pool and ``last_norm``."""
        if self.last_norm is None or len(self.layers) != 2:
            return False
        return type(self.layers[0]) in POOLS and layer_settings(self.layers[0]) is not None


def layer_chain(module: nn.Module) -> LayerChain:
    """Return the chain of layers that ``module`` calls; a module of unknown kind is a chain of itself alone.

    A residual is taken apart only if all its layers are known: the output of another branch might be broadcast.
    """
    shortcut: int | None = 0
    if isinstance(module, Residual) and is_exactly(module, Residual):
        layers = _flatten(module.branch, [])
        if all(layer_settings(layer) is not None for layer in layers):
            shortcut = None if module.shared == module.channels else module.shared
        else:
            layers = [module]
    else:
        layers = _flatten(module, [])
    last = layers[-1] if layers else None
    return LayerChain(tuple(layers), shortcut, cast(nn.BatchNorm2d, last) if is_plain_batchnorm(last) else None)


def _flatten(module: nn.Module, layers: list[nn.Module]) -> list[nn.Module]:
    if is_sequential(module):
        for child in module._modules.values():
            if child is not None:
                _flatten(child, layers)
    elif not is_exactly(module, nn.Identity):
        layers.append(module)
    return layers
