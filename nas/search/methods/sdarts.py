"""Smooth DARTS (Chen and Hsieh, ICML 2020, arXiv 2002.05283): weights that are trained at perturbed strengths.

    sdarts_rs     q = P(p + U(-eps, eps))
    sdarts_adv    7 steps of ascent from there:  q <- P(p + clip(q + (2 eps / 7) sign(dL_train/dq) - p, -eps, eps))

P projects onto the simplex; L_train is that of the step's batch with running statistics. eps grows linearly by epoch,
from 0.03 by 0.27 over the search. If the loss at the end of the ascent is below that at p, the step uses p. The alpha
step is that of DARTS.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nas.core.validation import require
from nas.search.method import Method, NamedTensors, Perturbation, StrengthGradient
from nas.search.methods.registry import register_method
from nas.search.methods.simplex import project


@dataclass(frozen=True)
class SdartsRsSettings:
    """The radius in the first epoch, and by how much it grows over the search."""

    radius: float = 0.03  # released code
    growth: float = 0.27

    def __post_init__(self) -> None:
        _check("sdarts_rs", self.radius, self.growth)


@dataclass(frozen=True)
class SdartsAdvSettings:
    """The radius in the first epoch, by how much it grows over the search, and the steps of ascent."""

    radius: float = 0.03  # released code
    growth: float = 0.27
    steps: int = 7

    def __post_init__(self) -> None:
        _check("sdarts_adv", self.radius, self.growth)
        require("methods.sdarts_adv.steps", self.steps, self.steps >= 1, "must be at least 1")


def _check(name: str, radius: float, growth: float) -> None:
    require(f"methods.{name}.radius", radius, radius > 0, "must be above 0")
    require(f"methods.{name}.growth", growth, growth >= 0, "must be at least 0")


def uniform_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return noise of ``shape``, uniform in -1..1, float64."""
    return 2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1


def random_strengths(strengths: NamedTensors, noise: NamedTensors, radius: Tensor) -> dict[str, Tensor]:
    """Return strengths (E, K) by kind of cell moved by ``radius`` () times the noise, projected onto the simplex."""
    return {kind: project(p + (radius * noise[kind]).to(p), p > 0) for kind, p in strengths.items()}


def ascend(
    strengths: NamedTensors, start: NamedTensors, radius: Tensor, gradient: StrengthGradient, steps: int
) -> dict[str, Tensor]:
    """Return strengths within ``radius`` () of ``strengths`` after projected ascent of the loss from ``start``."""
    q = dict(start)
    for _ in range(steps):
        _, by = gradient(q)
        for kind, p in strengths.items():
            bound = radius.to(p)
            moved = q[kind] + 2 * bound / steps * by[kind].sign() - p
            q[kind] = project(p + torch.minimum(torch.maximum(moved, -bound), bound), p > 0)
    back = gradient(q)[0] < gradient(strengths)[0]
    return {kind: torch.where(back, p, q[kind]) for kind, p in strengths.items()}


@register_method(
    "sdarts_rs",
    settings=SdartsRsSettings,
    paper="SDARTS-RS, arXiv 2002.05283",
    error="2.67 ± 0.03",
    when="for flat minima at the cost of DARTS",
)
def sdarts_rs(settings: SdartsRsSettings) -> Method:
    """Return DARTS whose weights are trained at randomly perturbed strengths."""

    def radius(epoch: int, epochs: int) -> float:
        return settings.radius + settings.growth * epoch / epochs

    def perturb(p: NamedTensors, noise: NamedTensors, value: Tensor, _: StrengthGradient) -> dict[str, Tensor]:
        return random_strengths(p, noise, value)

    return Method(perturbation=Perturbation(perturb, uniform_noise, radius))


@register_method(
    "sdarts_adv",
    settings=SdartsAdvSettings,
    paper="SDARTS-ADV, arXiv 2002.05283",
    error="2.61 ± 0.02",
    when="for flatter minima, if a step may take a multiple of the time",
)
def sdarts_adv(settings: SdartsAdvSettings) -> Method:
    """Return DARTS whose weights are trained at the worst strengths that a few steps of ascent find nearby."""

    def radius(epoch: int, epochs: int) -> float:
        return settings.radius + settings.growth * epoch / epochs

    def perturb(p: NamedTensors, noise: NamedTensors, value: Tensor, gradient: StrengthGradient) -> dict[str, Tensor]:
        return ascend(p, random_strengths(p, noise, value), value, gradient, settings.steps)

    return Method(perturbation=Perturbation(perturb, uniform_noise, radius))
