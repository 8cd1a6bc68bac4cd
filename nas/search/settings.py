"""Settings of a search: frozen, validated on construction, named as in ``conf/search.yaml``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.core.validation import require, require_batch_size, require_sizes
from nas.costs.expected import ObjectiveSettings
from nas.engine.named_losses import check_names
from nas.engine.optimizer import WeightSettings
from nas.models.supernet import EXECUTIONS


@dataclass(frozen=True)
class AlphaSettings:
    """Settings of the alphas' optimizer, Adam. The defaults are DARTS' (arXiv 1806.09055, §A.1.1)."""

    lr: float = 3e-4
    beta1: float = 0.5
    beta2: float = 0.999
    weight_decay: float = 1e-3

    def __post_init__(self) -> None:
        require("alphas.lr", self.lr, self.lr > 0, "must be above 0")
        require("alphas.beta1", self.beta1, 0 <= self.beta1 < 1, "must lie in 0..1, below 1")
        require("alphas.beta2", self.beta2, 0 <= self.beta2 < 1, "must lie in 0..1, below 1")
        require("alphas.weight_decay", self.weight_decay, self.weight_decay >= 0, "must be 0 or more")


@dataclass(frozen=True)
class SearchSettings:
    """Settings of the search. ``train_fraction`` of the training images train the weights, the others the alphas.

    ``method`` names search methods, composed with ``+``; they are looked up when the search starts.
    """

    epochs: int = 50
    batch_size: int = 64
    channels: int = 16
    cells: int = 8
    order: int = 1
    train_fraction: float = 0.5
    seed: int = 0
    precision: str = "fp32"
    weights: WeightSettings = field(default_factory=WeightSettings)
    alphas: AlphaSettings = field(default_factory=AlphaSettings)
    execution: str = "fused"
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings, kw_only=True)
    grad_checkpoint: bool = field(default=False, kw_only=True)  # runs from before it was a setting resume without it
    cuda_graphs: bool = field(default=False, kw_only=True)  # likewise
    method: str = field(default="darts", kw_only=True)  # likewise
    methods: Mapping[str, Any] = field(default_factory=dict, kw_only=True)  # the methods' own settings, by name
    loss: str = field(default="cross_entropy", kw_only=True)  # runs from before it was a setting resume without it
    metric: str | None = field(default=None, kw_only=True)  # likewise
    class_weights: str | None = field(default=None, kw_only=True)  # likewise
    sampling: str = field(default="uniform", kw_only=True)  # likewise

    def __post_init__(self) -> None:
        for name in ("epochs", "channels", "cells"):
            value = getattr(self, name)
            require(name, value, value >= 1, "must be at least 1")
        require_batch_size(self.batch_size)
        require_sizes(self.channels, self.cells)
        require("order", self.order, self.order in (1, 2), "must be 1 or 2")
        fraction = self.train_fraction
        require("train_fraction", fraction, 0 < fraction < 1, "must lie between 0 and 1")
        check_names(self.loss, self.metric, self.class_weights, self.sampling)
        require("seed", self.seed, 0 <= self.seed < 2**63, "must be 0 or more, and below 2**63")
        require("precision", self.precision, self.precision in ("fp32", "bf16"), "must be fp32 or bf16")
        require("execution", self.execution, self.execution in EXECUTIONS, f"must be {' or '.join(EXECUTIONS)}")
