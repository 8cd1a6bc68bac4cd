"""A loss and a metric of the user's own, checked as they are called."""

import numbers
from collections.abc import Callable, Mapping
from typing import Any

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


def split_functions(
    settings: Mapping[str, Any], loss: Loss | str | None, metric: Metric | str | None
) -> tuple[dict[str, Any], Loss | None, Metric | None]:
    """Return the settings with the names of loss and metric among them, and those that are functions."""
    names = {key: value for key, value in (("loss", loss), ("metric", metric)) if isinstance(value, str)}
    functions = (None if isinstance(loss, str) else loss, None if isinstance(metric, str) else metric)
    return {**settings, **names}, *functions


def recorded_loss(name: str, loss: Loss | None) -> str | None:
    """Return what the record of a run says of its loss: None for the plain cross-entropy."""
    if loss is not None:
        return function_name(loss)
    return None if name == "cross_entropy" else name


def function_name(function: object) -> str:
    """Return where a function is defined, for the record of a run: ``package.module.name``."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', type(function).__module__)}.{name}"
