"""What a checkpoint says of a run, looked over before it is believed: it may be another run's, or a stranger's."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from nas.core.errors import InputError

State = TypeVar("State")
Load = Callable[[State, dict[str, Any], str], None]

HOW = ("foreach", "fused", "capturable")  # settings of an optimiser that do not change what it computes
ODD = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError)  # what data of another form leads to


CHECKPOINT_FORMAT = 2
_RENAMED = {  # format 1: format 2
    "weight_optimiser": "weight_optimizer",
    "alpha_optimiser": "alpha_optimizer",
    "optimiser": "optimizer",
    "tally": "metrics",
    "mishaps": "nonfinite",
    "blueprint": "network",
}


def current_format(saved: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint of this format or an older one with the keys of this one."""
    renamed = {_RENAMED.get(key, key): value for key, value in saved.items()}
    return {**renamed, "format": CHECKPOINT_FORMAT} if renamed.get("format") == 1 else renamed


def checked_load(run: str) -> Callable[[Load[State]], Load[State]]:
    """Let ``load(state, saved, where)`` of a ``run`` meet sensible figures only, and raise nothing but InputError."""

    def decorate(load: Load[State]) -> Load[State]:
        @functools.wraps(load)
        def checked(state: State, saved: dict[str, Any], where: str) -> None:
            try:
                load(state, current_format(saved), where)
                _check_figures(current_format(saved))
            except InputError:
                raise
            except ODD as error:
                problem = " ".join(str(error).splitlines()[:1])[:200]
                raise InputError(f"{where}: does not fit this {run}: {problem}") from error

        return checked

    return decorate


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Load an optimiser's state; raises :class:`ValueError` for settings and shapes that are not its own.

    The learning rate may differ: it has a schedule. How the optimiser computes is not the checkpoint's to say.
    """
    before = [_settings(group) for group in optimizer.param_groups]
    how = [{name: group[name] for name in HOW if name in group} for group in optimizer.param_groups]
    groups = [group | mine for group, mine in zip(saved["param_groups"], how, strict=True)]
    optimizer.load_state_dict({**saved, "param_groups": groups})
    if [_settings(group) for group in optimizer.param_groups] != before:
        raise ValueError("its optimiser has other settings")
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != weight.shape:
                raise ValueError(f"its optimiser's {name} has another shape than the weights")


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name not in ("params", "lr")}


def _check_figures(saved: dict[str, Any]) -> None:
    counts = {"epoch": saved["epoch"], "step": saved["step"], **saved.get("nonfinite", {})}
    for name, count in counts.items():
        if type(count) is not int or not 0 <= count < 2**31:
            raise ValueError(f"{name} is no count")
    if type(saved["seconds"]) is not float or not saved["seconds"] >= 0:
        raise ValueError("seconds is no time")
    if len(saved["metrics"]) != 3 or not all(type(value) is float for value in saved["metrics"]):
        raise ValueError("metrics is not three sums")
    figures = [value for name, value in saved.items() if name.endswith(("_accuracy", "_loss"))]
    if not all(value is None or type(value) is float for value in figures):
        raise ValueError("its accuracies are no numbers")
