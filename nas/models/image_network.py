"""Networks for images: a stem, a chain of blocks and a linear classifier, with the interface of timm."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.validation import require


def make_divisible(value: float, divisor: int = 8) -> int:
    """Return the multiple of ``divisor`` nearest to ``value``, at least ``divisor`` and 0.9 times ``value``.

    The rounding of widths of MobileNetV2's and MobileNeXt's released code.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class Stage(NamedTuple):
    """A row of a paper's table: blocks with the same channels."""

    t: int  # expansion or reduction
    c: int  # channels
    n: int  # blocks
    s: int  # stride of the first block
    k: int = 3  # kernel


@dataclass(frozen=True)
class BlockPlan:
    """Channels, stride, ``t`` and kernel of a block; ``alone``: it is the only one of its stage."""

    c_in: int
    c_out: int
    stride: int = 1
    t: int = 1
    kernel: int = 3
    alone: bool = False


def plan_blocks(stages: Iterable[Stage], c_in: int) -> list[BlockPlan]:
    """Return the plans of the blocks of all stages, of which the first one receives ``c_in`` channels."""
    plans: list[BlockPlan] = []
    for t, c, n, s, k in stages:
        for index in range(n):
            plans.append(BlockPlan(c_in, c, s if index == 0 else 1, t, k, alone=n == 1))
            c_in = c
    return plans


class ImageNetwork(nn.Module):
    """Stem, blocks, global average, dropout of ``drop_rate`` and a linear classifier.

    ``stem`` halves the size of an image (B, in_chans, H, W); ``plans`` are those of the ``blocks``, ``num_features``
    the channels after the last. With ``num_classes=0`` there is no classifier, and the network returns features (B,
    num_features); with ``global_pool=""`` besides, (B, num_features, H', W'). ``normal_init``: weights as in
    MobileNetV2 and MobileNeXt, N(0, 2 / (k k out)) and 0.01 in the classifier; else torch's own. Raises
    :class:`InputError` for a wrong number of classes, pooling or rate.
    """

    def __init__(
        self,
        stem: nn.Module,
        plans: Sequence[BlockPlan],
        blocks: Iterable[nn.Module],
        *,
        num_classes: int = 1000,
        drop_rate: float = 0.2,
        global_pool: str = "avg",
        normal_init: bool = True,
    ) -> None:
        super().__init__()
        require("num_classes", num_classes, num_classes >= 0, "must be at least 0")
        require("drop_rate", drop_rate, 0 <= drop_rate < 1, "must lie in 0..1, below 1")
        require("global_pool", global_pool, global_pool in ("avg", ""), "must be avg, or empty for no pooling")
        if global_pool == "" and num_classes:
            raise InputError(
                f"global_pool='': needs num_classes=0, not {num_classes}: a classifier takes pooled features"
            )
        self.num_classes, self.global_pool = num_classes, global_pool
        self.stem = stem
        self.blocks = nn.ModuleList(blocks)
        self.num_features = plans[-1].c_out
        self.dropout = nn.Dropout(drop_rate)
        self.classifier: nn.Module = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        last = len(plans) - 1
        self.stage_ends = tuple(i for i in range(len(plans)) if i == last or plans[i + 1].stride > 1)
        self.stem_is_stage = plans[0].stride > 1
        own = (plans[0].c_in,) if self.stem_is_stage else ()
        self.stage_channels = (*own, *(plans[i].c_out for i in self.stage_ends))
        self.normal_init = normal_init
        if normal_init:
            self._initialize()

    @property
    def feature_info(self) -> list[dict[str, int]]:
        """For each stage the channels (``num_chs``) of its features, and by what it divides the image's size."""
        return [{"num_chs": c, "reduction": 2 ** (i + 1)} for i, c in enumerate(self.stage_channels)]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_chans, H, W) to logits (B, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Map (B, in_chans, H, W) to the last block's features (B, num_features, H', W')."""
        return self.feature_maps(x)[-1]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map the last block's features to logits, or to pooled features (B, num_features) with ``pre_logits``."""
        x = self.dropout(x.mean((2, 3)) if self.global_pool else x)
        return x if pre_logits else self.classifier(x)

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Map (B, in_chans, H, W) to the features at the end of each stage; the resolution halves between stages."""
        x = self.stem(x)
        maps = [x] if self.stem_is_stage else []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                maps.append(x)
        return maps

    def get_classifier(self) -> nn.Module:
        """Return the classifier: a linear layer, or an identity if there are no classes."""
        return self.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier by a newly initialized one for ``num_classes``; 0: none."""
        pool = self.global_pool if global_pool is None else global_pool
        require("num_classes", num_classes, num_classes >= 0, "must be at least 0")
        if pool not in ("avg", "") or (pool == "" and num_classes):
            raise InputError(f"global_pool={pool!r}: must be avg, or empty with num_classes=0")
        place = next(self.parameters())
        self.num_classes, self.global_pool = num_classes, pool
        self.classifier = nn.Identity()
        if num_classes:
            linear = nn.Linear(self.num_features, num_classes)
            if self.normal_init:
                _initialize_linear(linear)
            self.classifier = linear.to(place.device, place.dtype)

    def _initialize(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                deviation = math.sqrt(2 / (layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels))
                nn.init.normal_(layer.weight, 0.0, deviation)
            elif isinstance(layer, nn.Linear):
                _initialize_linear(layer)


def _initialize_linear(layer: nn.Linear) -> None:
    nn.init.normal_(layer.weight, 0.0, 0.01)
    nn.init.zeros_(layer.bias)
