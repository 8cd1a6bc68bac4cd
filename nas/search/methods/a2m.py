"""A2M (arXiv 2503.10404): sharpness-aware alphas, on top of any method that does not choose their direction itself.

    a' = a + rho * g(a),   direction = g(a') + rho * H(a) g(a'),   g = dL_val/da,  H = d2L_val/da2

The product with the Hessian is a central difference at a along g(a'). (The released code takes it at a'.) A step costs
four gradients by the alphas instead of one.
"""

from dataclasses import dataclass

from torch import Tensor

from nas.core.validation import require
from nas.search.method import AlphaGradients, Method, NamedTensors
from nas.search.methods.registry import register_method


@dataclass(frozen=True)
class A2mSettings:
    """``rho``: the length of the step uphill, per gradient; ``radius``: of the difference, per gradient."""

    rho: float = 0.1  # paper, in the space of DARTS; 0.01 in NAS-Bench-201
    radius: float = 0.01  # released code

    def __post_init__(self) -> None:
        require("methods.a2m.rho", self.rho, self.rho > 0, "must be above 0")
        require("methods.a2m.radius", self.radius, self.radius > 0, "must be above 0")


@register_method(
    "a2m",
    settings=A2mSettings,
    paper="A2M, arXiv 2503.10404",
    when="on top of another method, where its cells differ much between seeds; four alpha passes a step",
)
def a2m(settings: A2mSettings) -> Method:
    """Return DARTS whose alphas look for flat minima."""

    def direction(asked: AlphaGradients) -> dict[str, Tensor]:
        def along(way: NamedTensors, length: float) -> dict[str, Tensor]:
            return {kind: alpha + length * way[kind] for kind, alpha in asked.alphas.items()}

        uphill = asked.valid(along(asked.valid(None), settings.rho))
        plus, minus = (asked.valid(along(uphill, sign * settings.radius)) for sign in (1, -1))
        half = settings.rho / (2 * settings.radius)
        return {kind: uphill[kind] + half * (plus[kind] - minus[kind]) for kind in uphill}

    return Method(alpha_gradient=direction)
