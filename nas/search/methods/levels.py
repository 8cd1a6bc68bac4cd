"""Alpha steps that look at the training loss: one level, as SNAS and GAEA's ERM, or both (MiLeNAS, arXiv 2003.12238).

    single_level   direction = dL_train/dalpha
    mixed_level    direction = dL_train/dalpha + weight * dL_val/dalpha

L_train is that of the batch of the next weight step. Evidence for one level is mixed: worse in DARTS' paper (section
3.3), better in Single-DARTS (arXiv 2108.08128) and GAEA.
"""

from dataclasses import dataclass

from torch import Tensor

from nas.core.validation import require
from nas.search.method import AlphaGradients, Method
from nas.search.methods.registry import NoSettings, register_method


@dataclass(frozen=True)
class MixedLevelSettings:
    """``weight``: of the validation loss beside the training loss."""

    weight: float = 1.0  # MiLeNAS, section 3.2

    def __post_init__(self) -> None:
        require("methods.mixed_level.weight", self.weight, self.weight >= 0, "must be at least 0")


@register_method(
    "single_level", paper="Single-DARTS, arXiv 2108.08128", when="when the images are too few to be halved"
)
def single_level(settings: NoSettings) -> Method:
    """Return DARTS whose alphas move against the gradient of the training loss."""
    return Method(alpha_gradient=lambda asked: asked.train(None), orders=(1,))


@register_method(
    "mixed_level",
    settings=MixedLevelSettings,
    paper="MiLeNAS, arXiv 2003.12238",
    when="when the alphas overfit the validation half",
)
def mixed_level(settings: MixedLevelSettings) -> Method:
    """Return DARTS whose alphas move against the gradients of both losses."""

    def both(asked: AlphaGradients) -> dict[str, Tensor]:
        train, valid = asked.train(None), asked.valid(None)
        return {kind: train[kind] + settings.weight * valid[kind] for kind in train}

    return Method(alpha_gradient=both, orders=(1,))
