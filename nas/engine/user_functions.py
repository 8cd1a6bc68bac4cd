"""A loss and a metric of the user's own, checked as they are called."""

import numbers
from collections.abc import Callable

from torch import Tensor

from nas.core.errors import InputError

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (B, classes) in float32, labels (B,) -> ()
Metric = Callable[[Tensor, Tensor], float]  # logits (N, classes) and labels (N,) of a whole set, on the CPU


def checked_loss(loss: Loss) -> Loss:
    """Return ``loss`` such that it raises :class:`InputError` unless it returns a tensor of shape ()."""

    def checked(logits: Tensor, labels: Tensor) -> Tensor:
        value = loss(logits, labels)
        if not isinstance(value, Tensor) or value.ndim:
            given = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise InputError(f"loss: returned {given}; loss(logits, labels) must return a tensor of shape ()")
        return value

    return checked


def measure(metric: Metric, logits: Tensor, labels: Tensor) -> float:
    """Return the user's ``metric`` as a float; raise :class:`InputError` if it returns anything but one number."""
    value = metric(logits, labels)
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"metric: returned a {type(value).__name__}; metric(logits, labels) must return one number")
    return float(value)


def function_name(function: object) -> str:
    """Return where a function is defined, for the record of a run: ``package.module.name``."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', type(function).__module__)}.{name}"
