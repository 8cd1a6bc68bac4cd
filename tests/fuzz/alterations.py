"""Alterations of modules in a built network: hooks, parametrizations, subclasses, frozen parts.

An alteration is ``(name, position)``; the position, from 0 to 1, picks one of the modules that it fits.
"""

import types
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune, spectral_norm, weight_norm

Alteration = tuple[str, float]


class Squeezed(nn.Module):
    """A parametrization of a weight: w -> tanh(w)."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.tanh()


def _hook(module: nn.Module) -> None:
    module.register_forward_hook(lambda _module, _inputs, output: 1.5 * output)


def _pre_hook(module: nn.Module) -> None:
    module.register_forward_pre_hook(lambda _module, inputs: (inputs[0] + 0.25,))


def _backward_hook(module: nn.Module) -> None:
    module.register_full_backward_hook(lambda _module, by_inputs, _by_outputs: tuple(_doubled(g) for g in by_inputs))


def _doubled(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else 2 * gradient


def _subclass(module: nn.Module) -> None:
    """Make it an instance of a subclass whose forward computes something else."""
    kind = type(module)
    module.__class__ = type(f"My{kind.__name__}", (kind,), {"forward": lambda self, x: kind.forward(self, x) * 0.75})


def _own_call(module: nn.Module) -> None:
    """Make it an instance of a subclass that overrides ``__call__``."""
    kind = type(module)
    module.__class__ = type(f"Called{kind.__name__}", (kind,), {"__call__": lambda self, x: kind.__call__(self, x) - 1})


def _own_forward(module: nn.Module) -> None:
    """Override ``forward`` of the instance alone."""
    kind = type(module)
    module.forward = types.MethodType(lambda self, x: kind.forward(self, x) + 0.5, module)


def _weight_norm(module: nn.Module) -> None:
    """Norm the weight anew in each pass, with another norm than before."""
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        weight_norm(module)
    module.weight_g.mul_(1.5)


def _freeze_parameters(module: nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        parameter.requires_grad_(False)


def _set(**options: object) -> Callable[[nn.Module], None]:
    return lambda module: module.__dict__.update(options)


def _is(*kinds: type[nn.Module]) -> Callable[[nn.Module], bool]:
    return lambda module: isinstance(module, kinds)


def _any_layer(module: nn.Module) -> bool:
    return not isinstance(module, nn.ModuleList | nn.ModuleDict) and not hasattr(module, "preprocess")


def _has_plain_weight(module: nn.Module) -> bool:
    """Whether the weight of a convolution is a parameter, and not computed from others by an earlier alteration."""
    return isinstance(module, nn.Conv2d) and "weight" in module._parameters


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _tracks(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d) and module.running_mean is not None


ALTERATIONS: dict[str, tuple[Callable[[nn.Module], bool], Callable[[nn.Module], object]]] = {
    "hook": (_any_layer, _hook),
    "pre_hook": (_any_layer, _pre_hook),
    "backward_hook": (_any_layer, _backward_hook),
    "subclass": (_any_layer, _subclass),
    "own_call": (_any_layer, _own_call),
    "own_forward": (_any_layer, _own_forward),
    "parametrize": (
        _has_plain_weight,
        lambda module: parametrize.register_parametrization(module, "weight", Squeezed()),
    ),
    "weight_norm": (_has_plain_weight, _weight_norm),
    "spectral_norm": (_has_plain_weight, spectral_norm),
    "prune": (_has_plain_weight, lambda module: prune.random_unstructured(module, "weight", 0.5)),
    "frozen_norm": (_is(nn.BatchNorm2d), nn.Module.eval),
    "norm_momentum": (_tracks, _set(momentum=0.37)),
    "norm_eps": (_is(nn.BatchNorm2d), _set(eps=0.1)),
    "frozen_parameters": (_has_parameters, _freeze_parameters),
}


def alter(root: nn.Module, alterations: tuple[Alteration, ...]) -> list[str]:
    """Alter modules below ``root``; return what was done to which, in words."""
    done = []
    for name, position in alterations:
        fits, change = ALTERATIONS[name]
        candidates = [(path, module) for path, module in root.named_modules() if path and fits(module)]
        if candidates:
            path, module = candidates[int(position * len(candidates))]
            with torch.no_grad():
                change(module)
            done.append(f"{name} of {path} ({type(module).__name__})")
    return done
