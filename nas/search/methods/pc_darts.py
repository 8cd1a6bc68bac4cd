"""PC-DARTS (Xu et al., ICLR 2020, arXiv 1907.05737): operators on a part of the channels, and weighted edges.

    edge_e(x) = shuffle([ sum over o of p(e, o) * o(x_1) ; x_2 ]),   node = sum over its edges of  b_e * edge_e(x_e)

``x_1`` are the first C/4 channels of the source; the others, ``x_2``, pass by, at stride 2 through a 2x2 max pool. The
shuffle has 4 groups: output channel 4*j + i is input channel i*(C/4) + j. Sums and weights commute with it, so it is
applied once, to the node. b is the softmax of the betas over the edges of a node. The genotype is derived by p * b. The
alphas rest in the first 15 of 50 epochs. The paper samples channels at random; as in the released code they are
the first, and the shuffle changes them from node to node.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.errors import InputError
from nas.core.validation import require
from nas.graph.space import Space
from nas.models.edge_rule import EdgeRule, SourceView
from nas.search.method import Method
from nas.search.methods.registry import register_method


@dataclass(frozen=True)
class PcDartsSettings:
    """``part``: one of so many channels goes through the operators. ``warmup_epochs``: those in which alphas rest.

    -1: three tenths of the epochs, which are the 15 of 50 of the paper (section 4.2.1).
    """

    part: int = 4  # paper, section 4.1, on CIFAR-10
    warmup_epochs: int = -1

    def __post_init__(self) -> None:
        require("methods.pc_darts.part", self.part, self.part >= 1, "must be at least 1")
        allowed = "must be at least 0, or -1 for three tenths of the epochs"
        require("methods.pc_darts.warmup_epochs", self.warmup_epochs, self.warmup_epochs >= -1, allowed)

    def rests(self, epoch: int, epochs: int) -> bool:
        """Return whether the alphas rest in ``epoch``, from 0."""
        return epoch < (3 * epochs // 10 if self.warmup_epochs < 0 else self.warmup_epochs)


@dataclass(frozen=True)
class PartialChannels(EdgeRule):
    """The edge of PC-DARTS; ``part`` is the inverse of the operators' share of the channels."""

    part: int = 4
    weighted = True

    def operator_channels(self, channels: int) -> int:
        """Return the operators' channels."""
        return channels // self.part

    def check(self, channels: int) -> None:
        """Raise :class:`InputError` unless the parts are equal."""
        if channels % self.part:
            raise InputError(
                f"channels={channels}: pc_darts needs a multiple of methods.pc_darts.part={self.part} in every cell"
            )

    def edge_weights(self, beta: Tensor, space: Space) -> Tensor:
        """Return the softmax of the betas (E,) over the edges of each node."""
        counts = [sum(target == node for target, _ in space.edges) for node in dict.fromkeys(t for t, _ in space.edges)]
        return torch.cat([torch.softmax(betas, dim=0) for betas in torch.split(beta, counts)])

    def view(self, x: Tensor, stride: int) -> SourceView:
        """Return the operators' channels of a node, and the others at the target's resolution."""
        if self.part == 1:
            return SourceView(x)
        width = self.operator_channels(x.shape[1])
        memory = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
        first, rest = (
            part.contiguous(memory_format=memory) for part in torch.split(x, [width, x.shape[1] - width], dim=1)
        )
        return SourceView(first, rest if stride == 1 else F.max_pool2d(rest, 2, 2, ceil_mode=True))

    def finish(
        self, mixed: Tensor, rests: Sequence[Tensor | None], weights: Tensor | None, value: Tensor | None
    ) -> Tensor:
        """Return the node: the operators' sum beside that of what passed by, shuffled in ``part`` groups."""
        if self.part == 1:
            return mixed
        assert weights is not None
        terms = [weight * rest for weight, rest in zip(weights.unbind(), rests, strict=True) if rest is not None]
        node = torch.cat([mixed, sum(terms[1:], start=terms[0])], dim=1)
        return F.channel_shuffle(node, self.part)


@register_method(
    "pc_darts",
    settings=PcDartsSettings,
    changes={"batch_size": 256, "weights.lr": 0.1, "weights.lr_min": 0.0, "alphas.lr": 6e-4},
    paper="PC-DARTS, arXiv 1907.05737",
    error="2.57 ± 0.07",
    when="for large batches and images: a fraction of the memory; needs many steps",
)
def pc_darts(settings: PcDartsSettings) -> Method:
    """Return partial channels with weighted edges, and alphas that rest at first."""
    return Method(edge_rule=PartialChannels(settings.part), rests=(settings.rests,))
