"""Detection of infinities and NaN in losses, gradients, alphas and checkpoints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MAX_SKIPPED = 20  # steps in a row
MAX_ROLLBACKS = 5  # in a run


@dataclass
class NonFiniteCounts:
    """Non-finite steps that were skipped, and rollbacks to an earlier checkpoint; part of a checkpoint."""

    skipped: int = 0  # steps of this epoch
    in_a_row: int = 0  # the most recent steps
    rollbacks: int = 0  # of the whole run

    @property
    def lr_factor(self) -> float:
        """The factor of the weights' learning rate: each rollback halves it for the rest of the run."""
        return 0.5**self.rollbacks

    def __str__(self) -> str:
        """Return the end of a status line, with a leading separator; empty if all counts are zero."""
        skipped = f" | skipped steps: {self.skipped}" if self.skipped else ""
        return skipped + (f" | rollbacks: {self.rollbacks}" if self.rollbacks else "")


class NotFiniteError(ArithmeticError):
    """A number that is not finite; its text names the tensor."""


def checked_grad_norm(loss: Tensor, gradients: Mapping[str, Tensor]) -> Tensor:
    """Return the total norm of the gradients; raise :class:`NotFiniteError` unless it and the loss are finite.

    Call it once a step, before the weights' optimizer; it waits for the device.
    """
    norm, finite = finite_flag(loss, gradients, {})
    raise_if_nonfinite(finite, loss, gradients, {})
    return norm


def finite_flag(loss: Tensor, gradients: Mapping[str, Tensor], alphas: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the total norm of the gradients, and whether norm, loss and alphas are finite, both () on the device.

    A non-finite gradient makes the norm non-finite, and clipping needs the norm anyway: the extra cost is a sum per
    alpha.
    """
    norm = torch.nn.utils.get_total_norm(list(gradients.values()), foreach=True)
    sums = [alpha.detach().sum().float() for alpha in alphas.values()]
    return norm, torch.stack([loss.detach().float(), norm.float(), *sums]).isfinite().all()


def raise_if_nonfinite(
    finite: Tensor, loss: Tensor, gradients: Mapping[str, Tensor], alphas: Mapping[str, Tensor]
) -> None:
    """Wait for the result of :func:`finite_flag`; raise :class:`NotFiniteError` if it is false.

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
    device = tensors[0].device  # collecting the flags there makes one wait enough
    finite = torch.stack([tensor.isfinite().all().to(device) for tensor in tensors]).tolist()
    if not all(finite):
        raise NotFiniteError(f"{names[finite.index(False)]}, before that step,")


def _tensors(state: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for key, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping):
            yield from _tensors(value, f"{prefix}{key}.")
