"""Validation of a checkpoint's content: it may belong to another run, or come from an untrusted source."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.storage.checkpoint_format import current_format

State = TypeVar("State")
Load = Callable[[State, dict[str, Any], str], None]

_IMPLEMENTATION = ("foreach", "fused", "capturable")  # optimizer settings that do not change what it computes
# What data of another form raises.
_MALFORMED = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError)


def checked_load(run: str) -> Callable[[Load[State]], Load[State]]:
    """Decorate ``load(state, saved, where)`` to validate the figures and to raise nothing but InputError."""

    def decorate(load: Load[State]) -> Load[State]:
        @functools.wraps(load)
        def checked(state: State, saved: dict[str, Any], where: str) -> None:
            try:
                load(state, current_format(saved), where)
                _check_figures(current_format(saved))
            except InputError:
                raise
            except _MALFORMED as error:
                problem = " ".join(str(error).splitlines()[:1])[:200]
                raise InputError(f"{where}: does not fit this {run}: {problem}") from error

        return checked

    return decorate


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Load an optimizer's state; raise :class:`ValueError` if settings or shapes differ.

    The learning rate may differ, since it has a schedule, and so may the implementation (fused, foreach).
    """
    before = [_settings(group) for group in optimizer.param_groups]
    implementation = [
        {name: group[name] for name in _IMPLEMENTATION if name in group} for group in optimizer.param_groups
    ]
    groups = [group | own for group, own in zip(saved["param_groups"], implementation, strict=True)]
    optimizer.load_state_dict({**saved, "param_groups": groups})
    if [_settings(group) for group in optimizer.param_groups] != before:
        raise ValueError("its optimizer has other settings")
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != weight.shape:
                raise ValueError(f"its optimizer's {name} has another shape than the weights")


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name not in ("params", "lr")}


def _check_figures(saved: dict[str, Any]) -> None:
    counts = {"epoch": saved["epoch"], "step": saved["step"], **saved.get("nonfinite", {})}
    for name, count in counts.items():
        if type(count) is not int or not 0 <= count < 2**31:
            raise ValueError(f"{name} is not a count")
    if type(saved["seconds"]) is not float or not saved["seconds"] >= 0:
        raise ValueError("seconds is not a duration")
    if len(saved["metrics"]) != 3 or not all(type(value) is float for value in saved["metrics"]):
        raise ValueError("metrics are not three sums")
    figures = [value for name, value in saved.items() if name.endswith(("_accuracy", "_loss", "_metric"))]
    if not all(value is None or type(value) is float for value in figures):
        raise ValueError("its accuracies are not numbers")
