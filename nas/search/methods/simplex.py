"""Strengths of an edge as points of the simplex: projection, and the largest one alone."""

import torch
from torch import Tensor


def most_probable(values: Tensor) -> Tensor:
    """Return the one-hot of the largest value of each row (E, K); of equal ones, the first."""
    return torch.zeros_like(values).scatter(-1, values.argmax(-1, keepdim=True), 1.0)


def project(values: Tensor, support: Tensor) -> Tensor:
    """Return rows (E, K) cut to 0..1 and divided by their sums (SDARTS, released code); 0 outside of ``support``.

    A row whose sum is 0 becomes the one-hot of its largest value.
    """
    cut = values.clamp(0, 1).masked_fill(~support, 0.0)
    total = cut.sum(-1, keepdim=True)
    largest = most_probable(values.masked_fill(~support, -torch.inf))
    return torch.where(total > 0, cut / torch.where(total > 0, total, 1.0), largest)


def spread(count: int, first: int, end: int) -> list[int]:
    """Return the epochs before which ``count`` decisions are due: evenly from ``first`` on, before ``end``."""
    return [first + k * (end - first) // count for k in range(count)]
