"""Snapshots of tensors, to undo a step."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def snapshot(tensors: Iterable[Tensor]) -> Callable[[], None]:
    """Return a function that restores the tensors' present values, in place."""
    tensors = list(tensors)
    with torch.no_grad():
        values = [tensor.clone() for tensor in tensors]

    def restore() -> None:
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)

    return restore
