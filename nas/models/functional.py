"""Functional calls that leave a module whole if several threads use it.

``torch.func.functional_call`` puts other tensors into the module for the time of the call. Calls from other threads,
plain forward passes included, must wait until its own are back.
"""

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

_lock = threading.RLock()


def exclusive() -> AbstractContextManager[Any]:
    """Return a context in which no other thread calls a module; it does nothing while torch.compile traces."""
    return nullcontext() if torch.compiler.is_compiling() else _lock


def functional_call(
    module: nn.Module, tensors: Mapping[str, Tensor], args: tuple[Any, ...], *, tie_weights: bool = True
) -> Any:
    """Call :func:`torch.func.functional_call`, one thread at a time."""
    with exclusive():
        return torch.func.functional_call(module, dict(tensors), args, tie_weights=tie_weights)
