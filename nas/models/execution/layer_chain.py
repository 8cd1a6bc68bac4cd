"""What an operator's module is made of, as far as the fast executions can tell."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from nas.kernels.batchnorm_stats import is_search_batchnorm
from nas.ops.blocks import Residual


@dataclass(frozen=True)
class LayerChain:
    """A module as a chain of layers, and how many channels of its input are added to what the chain gives."""

    layers: tuple[nn.Module, ...]
    shared: int = 0  # channels of the input that are added at the end

    @property
    def last_norm(self) -> nn.BatchNorm2d | None:
        """The BatchNorm at the chain's end, where it is one without scale and shift."""
        last = self.layers[-1] if self.layers else None
        return last if isinstance(last, nn.BatchNorm2d) and is_search_batchnorm(last) else None


def layer_chain(module: nn.Module) -> LayerChain:
    """The chain of layers that ``module`` is; a module of unknown kind is a chain of itself alone."""
    if type(module) is Residual:
        return LayerChain(tuple(_flat(module.branch)), module.shared)
    return LayerChain(tuple(_flat(module)))


def _flat(module: nn.Module) -> Sequence[nn.Module]:
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        return [layer for child in module for layer in _flat(child)]
    return [] if type(module) is nn.Identity else [module]
