"""SNAS (Xie et al., ICLR 2019, arXiv 1812.09926): strengths sampled by a soft Gumbel softmax, on one level.

    strengths = softmax((log softmax(alpha) + g) / tau),  g ~ Gumbel(0, 1)

The temperature tau falls linearly by epoch. The alphas move against the gradient of the training loss, on the batch of
the weight step, as published; the two steps draw noise of their own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.validation import require
from nas.models.relaxation import Relaxation
from nas.search.method import Method
from nas.search.methods.gdas import gumbel_noise
from nas.search.methods.registry import register_method


@dataclass(frozen=True)
class SnasSettings:
    """The temperature in the first and in the last epoch; ``bilevel``: alphas by the validation loss instead."""

    tau_max: float = 1.0  # released code
    tau_min: float = 0.03
    bilevel: bool = False

    def __post_init__(self) -> None:
        require("methods.snas.tau_min", self.tau_min, self.tau_min > 0, "must be above 0")
        at_least = f"must be at least methods.snas.tau_min={self.tau_min}"
        require("methods.snas.tau_max", self.tau_max, self.tau_max >= self.tau_min, at_least)


def soft_sample(alpha: Tensor, noise: Tensor | None, value: Tensor) -> Tensor:
    """Return the Gumbel softmax (E, K) of alphas with Gumbel noise (E, K) at the temperature ``value`` ()."""
    logits = torch.log_softmax(alpha, dim=-1)
    return torch.softmax((logits if noise is None else logits + noise.to(logits)) / value.to(logits), dim=-1)


@register_method(
    "snas",
    settings=SnasSettings,
    paper="SNAS, arXiv 1812.09926",
    error="2.85 ± 0.02",
    when="for soft sampling; alphas by the training loss",
)
def snas(settings: SnasSettings) -> Method:
    """Return sampled soft strengths at a falling temperature."""

    def temperature(epoch: int, epochs: int) -> float:
        return settings.tau_max - (settings.tau_max - settings.tau_min) * epoch / max(epochs - 1, 1)

    relaxation = Relaxation(sample=soft_sample, noise=gumbel_noise, schedule=temperature)
    if settings.bilevel:
        return Method(relaxation=relaxation)
    return Method(relaxation=relaxation, alpha_gradient=lambda asked: asked.train(None), orders=(1,))
