"""OLES (Jiang et al., NeurIPS 2023): operators whose weights stop when training no longer helps the validation loss.

For each operator on each edge of each cell, in every weight step:

    GM = mean over its weights of  cosine(dL_val/dw, dL_train/dw of the step before)

When the mean of GM over 20 steps is below 0.4, its weights stay as they are for the rest of the search. ``formula``:
``exact`` is this; ``released`` repeats the authors' program, whose validation gradient still contains the clipped
training gradient, whose cosines are taken along the first axis of a weight and averaged, and whose mean divides 21
values by 20; the threshold is theirs. A step costs the gradient by the weights on the alphas' batch.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.validation import require
from nas.search.method import Method, NamedTensors, WeightGradients, needs_two_levels
from nas.search.methods.registry import register_method

_MEMORY = "oles"


@dataclass(frozen=True)
class OlesSettings:
    """``threshold`` and ``steps`` of the mean; ``clip_norm``: what the released formula clips training gradients to."""

    threshold: float = 0.4  # paper
    steps: int = 20
    formula: str = "exact"
    clip_norm: float = 5.0

    def __post_init__(self) -> None:
        require("methods.oles.threshold", self.threshold, -1 <= self.threshold <= 1, "must lie in -1..1")
        require("methods.oles.steps", self.steps, self.steps >= 1, "must be at least 1")
        allowed = "must be exact or released"
        require("methods.oles.formula", self.formula, self.formula in ("exact", "released"), allowed)
        require("methods.oles.clip_norm", self.clip_norm, self.clip_norm > 0, "must be above 0")


def operator_of(name: str) -> str | None:
    """Return the operator that a weight of the supernet belongs to, as ``cells.0.edges.3.sep_conv_3x3``, or None."""
    parts = name.split(".")
    return ".".join(parts[:5]) if parts[0] == "cells" and parts[2:3] == ["edges"] else None


def match(train: Tensor, valid: Tensor, formula: str) -> Tensor:
    """Return the cosine () between two gradients of a weight; ``released``: along its first axis, averaged."""
    if formula == "exact":
        return F.cosine_similarity(train.flatten(), valid.flatten(), dim=0)
    return F.cosine_similarity(train, valid, dim=0).mean()


def gradient_matches(train: NamedTensors, valid: NamedTensors, settings: OlesSettings) -> dict[str, float]:
    """Return GM of each operator, from the training gradients of the step before and the validation gradients."""
    if settings.formula == "released":
        norm = torch.stack([g.norm() for g in train.values()]).norm()
        scale = (settings.clip_norm / (norm + 1e-6)).clamp_max(1.0)
        train = {name: scale * g for name, g in train.items()}
        valid = {name: g + train[name] for name, g in valid.items()}
    names = [name for name in train if operator_of(name) is not None]
    if not names:
        return {}
    cosines = torch.stack([match(train[name], valid[name], settings.formula) for name in names]).tolist()
    found: dict[str, list[float]] = {}
    for name, cosine in zip(names, cosines, strict=True):
        found.setdefault(str(operator_of(name)), []).append(cosine)
    return {operator: sum(values) / len(values) for operator, values in found.items()}


def update_frozen(memory: dict[str, Any], matches: dict[str, float], settings: OlesSettings) -> None:
    """Add the values of a step to ``memory``; after enough steps freeze the operators whose mean is low."""
    for operator, value in matches.items():
        if value == value:  # not NaN: a step that diverges says nothing
            memory["sums"][operator] = memory["sums"].get(operator, 0.0) + value
    memory["count"] += 1
    if memory["count"] == settings.steps + (settings.formula == "released"):
        low = {operator for operator, total in memory["sums"].items() if total / settings.steps < settings.threshold}
        memory |= {"frozen": sorted(low | set(memory["frozen"])), "sums": {}, "count": 0}


@register_method(
    "oles",
    settings=OlesSettings,
    paper="OLES, NeurIPS 2023",
    error="2.41 ± 0.11",
    when="against skip connections at the cost of DARTS; composes with most methods",
)
def oles(settings: OlesSettings) -> Method:
    """Return DARTS that freezes the weights of operators which overfit."""

    def hook(gradients: WeightGradients) -> NamedTensors:
        memory = gradients.memory.setdefault(_MEMORY, {"train": {}, "sums": {}, "count": 0, "frozen": []})
        if memory["train"]:
            update_frozen(memory, gradient_matches(memory["train"], gradients.valid(), settings), settings)
        memory["train"] = {name: g.detach() for name, g in gradients.train.items()}
        frozen = set(memory["frozen"])
        return {name: g for name, g in gradients.train.items() if operator_of(name) not in frozen}

    return Method(weight_hook=hook, checks=(needs_two_levels("oles"),), capturable=False)
