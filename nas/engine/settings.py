"""What a search is told: frozen, checked when made, in the words of ``conf/search.yaml``."""

import math
from dataclasses import dataclass, field

from nas.core.errors import InputError
from nas.core.limits import MAX_CELLS, MAX_CHANNELS
from nas.models.supernet import EXECUTIONS


@dataclass(frozen=True)
class WeightSettings:
    """The weights' optimiser: SGD with momentum, a cosine from ``lr`` to ``lr_min`` over the epochs, clipping."""

    lr: float
    lr_min: float
    momentum: float
    weight_decay: float
    clip_norm: float

    def __post_init__(self) -> None:
        require("weights.lr", self.lr, self.lr > 0, "must be above 0")
        require("weights.lr_min", self.lr_min, 0 <= self.lr_min <= self.lr, f"must lie in 0..weights.lr={self.lr}")
        require("weights.momentum", self.momentum, 0 <= self.momentum < 1, "must lie in 0..1, below 1")
        require("weights.weight_decay", self.weight_decay, self.weight_decay >= 0, "must be 0 or more")
        require("weights.clip_norm", self.clip_norm, self.clip_norm > 0, "must be above 0")


@dataclass(frozen=True)
class AlphaSettings:
    """The alphas' optimiser: Adam."""

    lr: float
    beta1: float
    beta2: float
    weight_decay: float

    def __post_init__(self) -> None:
        require("alphas.lr", self.lr, self.lr > 0, "must be above 0")
        require("alphas.beta1", self.beta1, 0 <= self.beta1 < 1, "must lie in 0..1, below 1")
        require("alphas.beta2", self.beta2, 0 <= self.beta2 < 1, "must lie in 0..1, below 1")
        require("alphas.weight_decay", self.weight_decay, self.weight_decay >= 0, "must be 0 or more")


@dataclass(frozen=True)
class ObjectiveSettings:
    """What the alpha loss holds besides the validation loss: the expected size of the derived network.

    ``params`` and ``macs`` are factors per million; ``channels`` and ``cells`` are that network's sizes.
    """

    params: float = 0.0
    macs: float = 0.0
    channels: int = 36
    cells: int = 20

    def __post_init__(self) -> None:
        for name in ("params", "macs"):
            value = getattr(self, name)
            require(f"objective.{name}", value, value >= 0, "must be 0 or more, and finite")
        for name in ("channels", "cells"):
            value = getattr(self, name)
            require(f"objective.{name}", value, value >= 1, "must be at least 1")

    @property
    def wanted(self) -> bool:
        """Whether the size counts at all."""
        return self.params > 0 or self.macs > 0


@dataclass(frozen=True)
class SearchSettings:
    """The search itself. ``train_fraction`` of the training images train the weights, the others the alphas."""

    epochs: int
    batch_size: int
    channels: int
    cells: int
    order: int
    train_fraction: float
    seed: int
    precision: str
    weights: WeightSettings
    alphas: AlphaSettings
    execution: str
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings, kw_only=True)
    grad_checkpoint: bool = field(default=False, kw_only=True)  # runs of before it was a setting go on without it
    cuda_graphs: bool = field(default=False, kw_only=True)  # likewise

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "channels"):
            value = getattr(self, name)
            require(name, value, value >= 1, "must be at least 1")
        require("cells", self.cells, self.cells >= 3, "must be at least 3: two reduction cells and a normal one")
        require_sizes(self.channels, self.cells)
        require("order", self.order, self.order in (1, 2), "must be 1 or 2")
        fraction = self.train_fraction
        require("train_fraction", fraction, 0 < fraction < 1, "must lie between 0 and 1")
        require("seed", self.seed, 0 <= self.seed < 2**63, "must be 0 or more, and below 2**63")
        require("precision", self.precision, self.precision in ("fp32", "bf16"), "must be fp32 or bf16")
        require("execution", self.execution, self.execution in EXECUTIONS, f"must be {' or '.join(EXECUTIONS)}")


def require_sizes(channels: int, cells: int) -> None:
    """Raise :class:`InputError` for a network that nobody means."""
    require("channels", channels, channels <= MAX_CHANNELS, f"must be at most {MAX_CHANNELS:,}")
    require("cells", cells, cells <= MAX_CELLS, f"must be at most {MAX_CELLS}")


def require(name: str, value: object, holds: bool, rule: str) -> None:
    """Raise :class:`InputError` with what was given and what is allowed, unless the rule holds; infinity never does."""
    if not holds or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"{name}={value}: {rule}")
