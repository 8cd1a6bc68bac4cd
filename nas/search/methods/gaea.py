"""GAEA (Li et al., ICLR 2021, arXiv 2004.07802): alphas that are the strengths, moved by exponentiated gradients.

    p <- p * exp(-lr * g),  clamped from below, each edge divided by its sum

The alphas begin uniform. Edge weights (pc_darts+gaea) move likewise: their betas are logarithms, which move by -lr
times the gradient by the weight itself: dL/dbeta divided by the weight, up to a constant that the softmax removes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.validation import require
from nas.models.relaxation import Relaxation
from nas.search.method import AlphaMove, Method
from nas.search.methods.registry import register_method


@dataclass(frozen=True)
class GaeaSettings:
    """``least``: what strengths are clamped to from below."""

    least: float = 1e-5  # released code

    def __post_init__(self) -> None:
        require("methods.gaea.least", self.least, 0 < self.least < 0.01, "must lie in 0..0.01")


def uniform_strengths(alpha: Tensor) -> Tensor:
    """Return 1/n for the n operators of each edge, 0 for those that it does not have (-inf)."""
    present = alpha.isfinite().to(alpha)
    return present / present.sum(-1, keepdim=True)


def present_strengths(alpha: Tensor) -> Tensor:
    """Return the alphas, which are strengths; 0 for operators that an edge does not have (-inf)."""
    return alpha.masked_fill(alpha == -torch.inf, 0.0)


@register_method(
    "gaea",
    settings=GaeaSettings,
    changes={"alphas.lr": 0.1},
    paper="GAEA, arXiv 2004.07802",
    when="for sparse strengths that settle early; best with pc_darts",
)
def gaea(settings: GaeaSettings) -> Method:
    """Return DARTS on the simplex of the strengths."""

    def update(move: AlphaMove) -> None:
        for kind, p in move.alphas.items():
            if p.ndim == 2:
                moved = (p * torch.exp(-move.lr * move.directions[kind])).clamp_min(settings.least)
                moved = moved.masked_fill(p == 0, 0.0)
                p.copy_(moved / moved.sum(-1, keepdim=True))
        for kind, weights in move.edge_weights.items():
            move.alphas[f"beta_{kind}"].sub_(move.lr * move.directions[f"beta_{kind}"] / weights)

    relaxation = Relaxation(present_strengths, initial=uniform_strengths)
    return Method(relaxation=relaxation, alpha_update=update)
