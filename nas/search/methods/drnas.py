"""DrNAS (Chen et al., ICLR 2021, arXiv 2006.10355): strengths sampled from a Dirichlet distribution.

    c = 1 + elu(alpha),   strengths of an edge ~ Dirichlet(c),   with the pathwise derivative;   mean = c / sum of c

The alphas are kept near 0 by Adam's decay, as in the released code, or with ``regularizer=kl`` by 1e-3 times the
divergence of the distributions from the uniform one (then set alphas.weight_decay=0). They rest in the first fifth of
the epochs. The genotype is derived by the means (paper). ``prune_to=4`` keeps the best four operators of every edge in
the second half of the epochs; the paper's progression also begins with a sixth of the channels, then takes a quarter:
``method=drnas+pc_darts`` has a quarter throughout.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.validation import require
from nas.models.relaxation import Relaxation
from nas.search.method import Method, NamedTensors, SearchView
from nas.search.methods.registry import register_method


@dataclass(frozen=True)
class DrnasSettings:
    """``rest``: the first part of the epochs, in which the alphas rest; ``prune_to`` 0: all operators stay."""

    regularizer: str = "l2"
    kl_weight: float = 1e-3  # released code
    rest: float = 0.2  # released code: 10 of 50 epochs without progression
    prune_to: int = 0

    def __post_init__(self) -> None:
        require("methods.drnas.regularizer", self.regularizer, self.regularizer in ("l2", "kl"), "must be l2 or kl")
        require("methods.drnas.kl_weight", self.kl_weight, self.kl_weight >= 0, "must be at least 0")
        require("methods.drnas.rest", self.rest, 0 <= self.rest < 1, "must lie in 0..1, below 1")
        require("methods.drnas.prune_to", self.prune_to, self.prune_to >= 0, "must be at least 0")


def concentration(alpha: Tensor) -> Tensor:
    """Return the concentrations 1 + elu(alpha) (E, K), above 0; 1 for operators that an edge does not have (-inf)."""
    return 1 + F.elu(alpha.masked_fill(alpha == -torch.inf, 0.0))


def dirichlet_mean(alpha: Tensor) -> Tensor:
    """Return the mean strengths (E, K)."""
    c = concentration(alpha).masked_fill(alpha == -torch.inf, 0.0)
    return c / c.sum(-1, keepdim=True)


def seed_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return the seed of a sample, int64 (1,)."""
    return torch.randint(2**62, (1,), generator=generator)


class _Dirichlet(torch.autograd.Function):
    """A sample of Dirichlet distributions with a given seed, and its pathwise derivative by the concentrations."""

    @staticmethod
    def forward(ctx: Any, c: Tensor, seed: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(int(seed))
        exact = c.detach().double().cpu()
        sample = torch._sample_dirichlet(exact, generator=generator)
        ctx.save_for_backward(exact, sample)
        return sample.to(c)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        c, sample = ctx.saved_tensors
        by_sample = grad_output.double().cpu()
        slopes = torch._dirichlet_grad(sample, c, c.sum(-1, keepdim=True).expand_as(c))
        return (slopes * (by_sample - (sample * by_sample).sum(-1, keepdim=True))).to(grad_output), None


def dirichlet_sample(alpha: Tensor, noise: Tensor | None, value: Tensor) -> Tensor:
    """Return sampled strengths (E, K); ``noise`` is the seed.

    Without the operators that an edge does not have, the rest of a sample divided by its sum is again a Dirichlet's.
    """
    assert noise is not None
    sample: Tensor = _Dirichlet.apply(concentration(alpha), noise)
    absent = alpha == -torch.inf
    left = sample.masked_fill(absent, 0.0)
    return torch.where(absent.any(-1, keepdim=True), left / left.sum(-1, keepdim=True), left)


def divergence(alpha: Tensor) -> Tensor:
    """Return the sum over the edges of KL(Dir(c) || Dir(1)), (); operators that an edge does not have do not count."""
    present = (alpha != -torch.inf).to(alpha)
    c = concentration(alpha)
    total, count = (c * present).sum(-1), present.sum(-1)
    terms = (c - 1) * (torch.digamma(c) - torch.digamma(total)[:, None]) - torch.lgamma(c)
    return (torch.lgamma(total) - torch.lgamma(count) + (terms * present).sum(-1)).sum()


@register_method(
    "drnas",
    settings=DrnasSettings,
    changes={"weights.lr": 0.1, "weights.lr_min": 0.0, "alphas.lr": 6e-4},
    paper="DrNAS, arXiv 2006.10355",
    error="2.54 ± 0.03",
    when="for strengths that explore early; with prune_to, for large spaces",
)
def drnas(settings: DrnasSettings) -> Method:
    """Return strengths sampled from Dirichlet distributions."""

    def penalty(alphas: NamedTensors, epoch: int, epochs: int) -> Tensor:
        return settings.kl_weight * torch.stack([divergence(alpha) for alpha in alphas.values()]).sum()

    def prune(view: SearchView) -> None:
        if view.epoch == (view.epochs + 1) // 2:
            left = {}
            for kind, alpha in view.supernet.masked(view.supernet.alphas()).items():
                best = alpha.topk(min(settings.prune_to, alpha.shape[1]), dim=1).indices
                left[kind] = torch.zeros_like(alpha, dtype=torch.bool).scatter(1, best, True) & alpha.isfinite()
            view.restrict(left)

    return Method(
        relaxation=Relaxation(dirichlet_mean, sample=dirichlet_sample, noise=seed_noise),
        penalties=(penalty,) if settings.regularizer == "kl" else (),
        rests=(lambda epoch, epochs: epoch < int(settings.rest * epochs),),
        on_epoch=(prune,) if settings.prune_to else (),
        capturable=False,
    )
