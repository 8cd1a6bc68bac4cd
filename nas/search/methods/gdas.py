"""GDAS (Dong and Yang, CVPR 2019, arXiv 1910.04465): one sampled operator an edge, and only it is computed.

    y = softmax((log softmax(alpha) + g) / tau),  g ~ Gumbel(0, 1);   strengths = one_hot(argmax y),
    whose gradient is that of y

The temperature tau falls linearly by epoch. Only the chosen operators are computed, so the gradient comes through the
chosen entry of y alone, as in the released code for the NASNet space. The genotype is derived as in DARTS; the released
code keeps the two best pairs of (operator, source) of a node, which may lie on one edge.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.validation import require
from nas.models.relaxation import Relaxation
from nas.search.method import Method
from nas.search.methods.registry import register_method
from nas.search.methods.simplex import most_probable


@dataclass(frozen=True)
class GdasSettings:
    """The temperature in the first and in the last epoch."""

    tau_max: float = 10.0  # released code
    tau_min: float = 0.1

    def __post_init__(self) -> None:
        require("methods.gdas.tau_min", self.tau_min, self.tau_min > 0, "must be above 0")
        at_least = f"must be at least methods.gdas.tau_min={self.tau_min}"
        require("methods.gdas.tau_max", self.tau_max, self.tau_max >= self.tau_min, at_least)


def gumbel_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return standard Gumbel noise of ``shape``, float64; it is finite."""
    while True:
        noise = -torch.empty(shape, dtype=torch.float64).exponential_(generator=generator).log()
        if noise.isfinite().all():
            return noise


def one_hot_sample(alpha: Tensor, noise: Tensor | None, value: Tensor) -> Tensor:
    """Return one-hot strengths (E, K) for alphas and Gumbel noise (E, K) at the temperature ``value`` ().

    They are exactly 0 and 1; their gradient by the alphas is that of the Gumbel softmax.
    """
    logits = torch.log_softmax(alpha, dim=-1)
    soft = torch.softmax((logits if noise is None else logits + noise.to(logits)) / value.to(logits), dim=-1)
    return most_probable(soft) + (soft - soft.detach())


@register_method(
    "gdas",
    settings=GdasSettings,
    paper="GDAS, arXiv 1910.04465",
    error="2.93",
    when="for the cheapest search in time and memory",
)
def gdas(settings: GdasSettings) -> Method:
    """Return hard Gumbel sampling at a falling temperature, of which only the chosen operators are computed."""

    def temperature(epoch: int, epochs: int) -> float:
        return settings.tau_max - (settings.tau_max - settings.tau_min) * epoch / max(epochs - 1, 1)

    relaxation = Relaxation(
        inference=most_probable, sample=one_hot_sample, noise=gumbel_noise, schedule=temperature, sparse=True
    )
    return Method("gdas", relaxation, orders=(1,), capturable=False)
