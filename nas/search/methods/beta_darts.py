"""Beta-DARTS (Ye et al., CVPR 2022, arXiv 2203.01665): a penalty that keeps the strengths of an edge near each other.

    alpha loss = L_val + lambda(e) * sum over kinds of cell of  mean over edges of  log sum over o of exp(alpha(e, o))

lambda grows linearly by epoch from 0. The released code searches NAS-Bench-201 alone, with 50 e/100 in 100 epochs; in
the space of DARTS, with two kinds of cell, its ports use e/2 in 50 epochs, hence the default.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.validation import require
from nas.search.method import Method, NamedTensors, needs_softmax
from nas.search.methods.registry import register_method


@dataclass(frozen=True)
class BetaDartsSettings:
    """``weight``: lambda grows from 0 towards it, reaching (epochs - 1) / epochs of it in the last epoch."""

    weight: float = 25.0

    def __post_init__(self) -> None:
        require("methods.beta_darts.weight", self.weight, self.weight >= 0, "must be at least 0")


@register_method(
    "beta_darts",
    settings=BetaDartsSettings,
    paper="β-DARTS, arXiv 2203.01665",
    error="2.53 ± 0.08",
    when="first against skip connections: costs nothing, first and second order",
)
def beta_darts(settings: BetaDartsSettings) -> Method:
    """Return DARTS with the growing penalty on the alphas."""

    def penalty(alphas: NamedTensors, epoch: int, epochs: int) -> Tensor:
        means = [torch.logsumexp(alpha, dim=-1).mean() for alpha in alphas.values()]
        return settings.weight * epoch / epochs * torch.stack(means).sum()

    return Method(penalties=(penalty,), checks=(needs_softmax("beta_darts"),))
