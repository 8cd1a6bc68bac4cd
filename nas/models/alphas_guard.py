"""Notices optimizers that treat a supernet's alphas as weights: ``SGD(supernet.parameters())`` moves both."""

from collections.abc import Iterable
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from nas.core.terminal import print_warning

_alphas: WeakValueDictionary[int, nn.Parameter] = WeakValueDictionary()  # by id: tensors compare by element
_seen: WeakSet[Optimizer] = WeakSet()
_watching = False


def watch_alphas(alphas: Iterable[nn.Parameter]) -> None:
    """Print a line at the first step of an optimizer that has some of ``alphas`` in one group with other parameters."""
    global _watching
    for alpha in alphas:
        _alphas[id(alpha)] = alpha
    if not _watching:
        register_optimizer_step_pre_hook(_check_groups)
        _watching = True


def _check_groups(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    if optimizer in _seen:
        return
    _seen.add(optimizer)
    for group in optimizer.param_groups:
        alphas = sum(_alphas.get(id(p)) is p for p in group["params"])
        if 0 < alphas < len(group["params"]):
            name = type(optimizer).__name__
            print_warning(
                f"this {name} moves the alphas as if they were weights; give it supernet.weights(), "
                "and the alphas, supernet.architecture().values(), to an optimizer of their own"
            )
