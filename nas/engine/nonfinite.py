"""Whether a run's numbers are still finite: no infinity, no NaN."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MAX_SKIPPED = 20  # steps in a row
MAX_ROLLBACKS = 5  # in a run


@dataclass
class NonFiniteCounts:
    """Steps left out because their numbers were not finite, and returns to an earlier checkpoint."""

    skipped: int = 0  # steps of this epoch
    in_a_row: int = 0  # the last so many steps
    rollbacks: int = 0  # of the whole run

    @property
    def lr_factor(self) -> float:
        """By what the weights' learning rate is multiplied: each return halves it for the rest of the run."""
        return 0.5**self.rollbacks

    def __str__(self) -> str:
        """What a status line says of them, a separator in front; nothing where nothing went wrong."""
        skipped = f" | skipped steps: {self.skipped}" if self.skipped else ""
        return skipped + (f" | rollbacks: {self.rollbacks}" if self.rollbacks else "")


class NotFiniteError(ArithmeticError):
    """A number that is not finite; its text names the tensor."""


def checked_grad_norm(loss: Tensor, gradients: Mapping[str, Tensor]) -> Tensor:
    """The total norm of the gradients; raises :class:`NotFiniteError` unless it and the loss are finite.

    To be called between the gradients and the weights' optimiser, once a step; it waits for the device.
    """
    norm, finite = finite_flag(loss, gradients, {})
    raise_if_nonfinite(finite, loss, gradients, {})
    return norm


def finite_flag(loss: Tensor, gradients: Mapping[str, Tensor], alphas: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The total norm of the gradients, and whether it, the loss and the alphas are finite, both () on the device.

    A gradient that is not finite makes the norm so, and clipping needs the norm anyway: what is added is a sum for
    each of the alphas.
    """
    norm = torch.nn.utils.get_total_norm(list(gradients.values()), foreach=True)
    sums = [alpha.detach().sum().float() for alpha in alphas.values()]
    return norm, torch.stack([loss.detach().float(), norm.float(), *sums]).isfinite().all()


def raise_if_nonfinite(
    finite: Tensor, loss: Tensor, gradients: Mapping[str, Tensor], alphas: Mapping[str, Tensor]
) -> None:
    """Wait for what :func:`finite_flag` found; raise :class:`NotFiniteError` where that is false.

    The error names the alphas first, then the loss, then the first gradient: each follows from the one before.
    """
    if finite.item():
        return
    for kind, alpha in alphas.items():
        if not alpha.isfinite().all():
            raise NotFiniteError(f"an alpha of the {kind} cells")
    if not loss.isfinite():
        raise NotFiniteError(f"the loss ({loss.item()})")
    for name, gradient in gradients.items():
        if not gradient.isfinite().all():
            raise NotFiniteError(f"the gradient of {name}")
    raise NotFiniteError("the norm of all gradients")


def check_state_finite(saved: Mapping[str, Any]) -> None:
    """Raise :class:`NotFiniteError` naming the first tensor in a nested state that is not finite."""
    names, tensors = zip(*_tensors(saved), strict=True)
    device = tensors[0].device  # the flags are collected there, so that one wait is enough
    finite = torch.stack([tensor.isfinite().all().to(device) for tensor in tensors]).tolist()
    if not all(finite):
        raise NotFiniteError(f"{names[finite.index(False)]}, in front of that step,")


def _tensors(state: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for key, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping):
            yield from _tensors(value, f"{prefix}{key}.")
