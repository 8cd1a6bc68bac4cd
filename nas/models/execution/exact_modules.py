"""Checks that a module computes exactly what its class stands for, and nothing else.

A fast execution replaces the call of a module by a computation of its own. It may do so only for a module of exactly
the known class (a subclass can override anything) whose call runs no user code: no hooks and no ``forward`` of the
instance. Spectral norm, weight norm and pruning register pre-forward hooks; parametrizations change the class. Every
other module is called as it is.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.module import _has_any_global_hook

from nas.ops.skip import FactorizedPointwise, FactorizedReduce

ACTIVATIONS = (nn.ReLU, nn.ReLU6)
POOLS = (nn.MaxPool2d, nn.AvgPool2d)

LayerSettings = tuple[object, ...]


def is_exactly(module: nn.Module | None, *types: type[nn.Module]) -> bool:
    """Return whether ``module`` is an instance of one of ``types`` itself, without hooks or overridden methods."""
    return module is not None and type(module) in types and not is_customized(module)


def is_customized(module: nn.Module) -> bool:
    """Return whether calling ``module`` runs more than the ``forward`` of its class."""
    own = module.__dict__  # read directly: this is asked of every layer in every pass
    return bool(
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
        or "forward" in own
        or "_conv_forward" in own
        or "_check_input_dim" in own
        or "_call_impl" in own
    )


def needs_reference() -> bool:
    """Return whether modules must be called one by one: global hooks, or a transform of ``torch.func`` is active.

    The fast executions skip calls, and their autograd functions have no rule for ``grad``, ``jvp`` and ``vmap``.
    """
    if torch.compiler.is_compiling():
        return False
    transformed = torch._C._functorch.peek_interpreter_stack() is not None
    return transformed or bool(_has_any_global_hook())  # type: ignore[no-untyped-call]


def is_sequential(module: nn.Module) -> bool:
    """Return whether calling ``module`` is calling its children in order."""
    kind = type(module)
    if kind not in (nn.Sequential, FactorizedReduce) and not (
        isinstance(module, nn.Sequential)
        and kind.forward is nn.Sequential.forward
        and kind.__iter__ is nn.Sequential.__iter__  # type: ignore[attr-defined]
        and kind.__call__ is nn.Module.__call__
        and kind._call_impl is nn.Module._call_impl
    ):
        return False
    return not is_customized(module)


def is_plain_batchnorm(norm: nn.Module | None) -> bool:
    """Return whether ``norm`` is a BatchNorm as in the search: no scale or shift, running statistics by momentum."""
    return isinstance(norm, nn.BatchNorm2d) and is_exactly(norm, nn.BatchNorm2d) and _norm_settings(norm) is not None


def layer_settings(layer: nn.Module) -> LayerSettings | None:
    """Return all that a known layer's output depends on besides its tensors; None for other layers.

    Layers with equal settings compute the same function of their input, parameters and running statistics. Known
    layers never change their input (a ReLU that would is computed out of place).
    """
    settings = _SETTINGS.get(type(layer))
    return None if settings is None or is_customized(layer) else settings(layer)


def _norm_settings(norm: nn.BatchNorm2d) -> LayerSettings | None:
    parameters, buffers = norm._parameters, norm._buffers
    plain = (
        norm.track_running_stats
        and norm.momentum is not None
        and parameters["weight"] is None
        and parameters["bias"] is None
        and buffers["running_mean"] is not None
        and buffers["running_var"] is not None
    )
    return (nn.BatchNorm2d, norm.num_features, norm.eps, norm.training) if plain else None


def _conv_settings(conv: nn.Conv2d) -> LayerSettings | None:
    if conv.padding_mode != "zeros":
        return None
    sizes = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.groups)
    return (nn.Conv2d, *sizes, conv.stride, conv.padding, conv.dilation, conv._parameters["bias"] is None)


def _factorized_settings(layer: FactorizedPointwise) -> LayerSettings | None:
    settings: list[object] = [FactorizedPointwise]
    for conv in (layer.even, layer.odd):
        settings += (conv.in_channels, conv.out_channels)
        standard = (nn.Conv2d, conv.in_channels, conv.out_channels, (1, 1), 1, (2, 2), (0, 0), (1, 1), True)
        if layer_settings(conv) != standard:
            return None
    return tuple(settings)


def _max_pool_settings(pool: nn.MaxPool2d) -> LayerSettings | None:
    if pool.return_indices:
        return None
    return (nn.MaxPool2d, pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)


def _average_pool_settings(pool: nn.AvgPool2d) -> LayerSettings:
    counting = (pool.ceil_mode, pool.count_include_pad, pool.divisor_override)
    return (nn.AvgPool2d, pool.kernel_size, pool.stride, pool.padding, *counting)


_SETTINGS: dict[type[nn.Module], Callable[..., LayerSettings | None]] = {
    nn.Conv2d: _conv_settings,
    nn.BatchNorm2d: _norm_settings,
    nn.ReLU: lambda layer: (nn.ReLU,),
    nn.ReLU6: lambda layer: (nn.ReLU6,),
    nn.MaxPool2d: _max_pool_settings,
    nn.AvgPool2d: _average_pool_settings,
    FactorizedPointwise: _factorized_settings,
}
