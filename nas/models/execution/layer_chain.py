"""An operator's module as a chain of layers, as far as its containers are exactly known."""

from dataclasses import dataclass
from typing import cast

from torch import nn

from nas.models.execution.exact_modules import is_exactly, is_plain_batchnorm, is_sequential, layer_settings
from nas.ops.blocks import Residual


@dataclass(frozen=True)
class LayerChain:
    """A module as a chain of layers, and the channels of its input that a shortcut adds to the chain's output."""

    layers: tuple[nn.Module, ...]
    shortcut: int | None = 0  # None: all channels

    @property
    def last_norm(self) -> nn.BatchNorm2d | None:
        """The BatchNorm at the chain's end, if it is one without scale and shift."""
        last = self.layers[-1] if self.layers else None
        return cast(nn.BatchNorm2d, last) if is_plain_batchnorm(last) else None


def layer_chain(module: nn.Module) -> LayerChain:
    """Return the chain of layers that ``module`` calls; a module of unknown kind is a chain of itself alone.

    A residual is taken apart only if all its layers are known: the output of another branch might be broadcast.
    """
    if isinstance(module, Residual) and is_exactly(module, Residual):
        layers = tuple(_flatten(module.branch, []))
        if all(layer_settings(layer) is not None for layer in layers):
            return LayerChain(layers, None if module.shared == module.channels else module.shared)
        return LayerChain((module,))
    return LayerChain(tuple(_flatten(module, [])))


def _flatten(module: nn.Module, layers: list[nn.Module]) -> list[nn.Module]:
    if is_sequential(module):
        for child in module._modules.values():
            if child is not None:
                _flatten(child, layers)
    elif not is_exactly(module, nn.Identity):
        layers.append(module)
    return layers
