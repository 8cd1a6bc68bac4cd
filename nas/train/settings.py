"""Settings of a training: frozen, validated on construction, named as in ``conf/retrain.yaml``."""

from dataclasses import dataclass, field
from functools import partial

from nas.core.errors import InputError
from nas.core.validation import require, require_batch_size, require_sizes
from nas.engine.named_losses import check_names
from nas.engine.optimizer import WeightSettings
from nas.models.execution import NETWORK_EXECUTIONS
from nas.models.network import AUXILIARY_HEADS


@dataclass(frozen=True)
class TrainSettings:
    """The network's size and the recipe. ``ema`` is the decay of the weights' average (None: no average).

    The defaults are DARTS' (arXiv 1806.09055, §A.2.1, and its released code); ``conf/retrain.yaml`` names the source of
    each.
    """

    epochs: int = 600
    batch_size: int = 96
    channels: int = 36
    cells: int = 20
    stem: str = "cifar"
    drop_path: float = 0.2
    auxiliary_weight: float = 0.4
    label_smoothing: float = 0.0
    warmup_epochs: int = 0
    lr_scaling: bool = False
    ema: float | None = None
    eval_every: int = 1
    seed: int = 0
    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False
    execution: str = "fused"
    weights: WeightSettings = field(default_factory=partial(WeightSettings, lr_min=0.0))
    loss: str = field(default="cross_entropy", kw_only=True)  # runs from before it was a setting resume without it
    metric: str | None = field(default=None, kw_only=True)  # likewise
    class_weights: str | None = field(default=None, kw_only=True)  # likewise
    sampling: str = field(default="uniform", kw_only=True)  # likewise

    def __post_init__(self) -> None:
        for name in ("epochs", "channels", "cells", "eval_every"):
            value = getattr(self, name)
            require(name, value, value >= 1, "must be at least 1")
        require_sizes(self.channels, self.cells)
        require_batch_size(self.batch_size)
        require("stem", self.stem, self.stem in AUXILIARY_HEADS, f"must be {' or '.join(AUXILIARY_HEADS)}")
        for name in ("drop_path", "label_smoothing"):
            value = getattr(self, name)
            require(name, value, 0 <= value < 1, "must lie in 0..1, below 1")
        if self.label_smoothing and self.loss != "cross_entropy":
            raise InputError(f"label_smoothing={self.label_smoothing}: is for loss=cross_entropy, not {self.loss}")
        require("auxiliary_weight", self.auxiliary_weight, self.auxiliary_weight >= 0, "must be 0 or more")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise InputError(f"warmup_epochs={self.warmup_epochs}: must lie in 0..epochs, below epochs={self.epochs}")
        require("ema", self.ema, self.ema is None or 0 < self.ema < 1, "must lie between 0 and 1, or be null")
        check_names(self.loss, self.metric, self.class_weights, self.sampling)
        require("seed", self.seed, 0 <= self.seed < 2**63, "must be 0 or more, and below 2**63")
        require("precision", self.precision, self.precision in ("fp32", "bf16"), "must be fp32 or bf16")
        require(
            "execution",
            self.execution,
            self.execution in NETWORK_EXECUTIONS,
            f"must be {' or '.join(NETWORK_EXECUTIONS)}",
        )

    @property
    def auxiliary(self) -> bool:
        """Whether the network has an auxiliary head."""
        return self.auxiliary_weight > 0
