"""The network that retraining builds from a genotype (DARTS, arXiv 1806.09055, §3.1 and §A.2)."""

from torch import Tensor, nn

from nas.core.errors import InputError
from nas.graph.genotype import Genotype
from nas.models.auxiliary import AuxiliaryHead
from nas.models.genotype_cell import GenotypeCell
from nas.models.layers import ImageNetStem, cifar_stem
from nas.models.plan import State, plan_cells
from nas.models.supernet import STEM_MULTIPLIER

STEMS = ("cifar", "imagenet")


class Network(nn.Module):
    """A stack of the genotype's cells between a stem and a linear classifier.

    ``stem="cifar"`` keeps the resolution, ``"imagenet"`` divides it by 8 in two steps, of which the first cell takes
    both. The auxiliary head stands behind cell ``2 * cells // 3``. ``drop_path`` is the probability with which, in
    training, an operator's output is dropped; whoever trains sets it. Raises :class:`InputError` for sizes below 1.
    """

    def __init__(
        self,
        genotype: Genotype,
        channels: int = 36,
        cells: int = 20,
        num_classes: int = 10,
        auxiliary: bool = True,
        stem: str = "cifar",
    ) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("cells", cells), ("num_classes", num_classes)):
            if value < 1:
                raise InputError(f"{name}={value}: must be at least 1")
        if stem not in STEMS:
            raise InputError(f"stem={stem}: must be {' or '.join(STEMS)}")
        self.genotype = genotype
        self.drop_path = 0.0
        imagenet = stem == "imagenet"
        if imagenet and genotype.inputs != 2:
            raise InputError(f"stem=imagenet gives a cell two inputs, this genotype's cells have {genotype.inputs}")
        self.stem = ImageNetStem(channels) if imagenet else cifar_stem(STEM_MULTIPLIER * channels)
        start = [State(channels, -1), State(channels, 0)] if imagenet else self._cifar_states(channels)
        width = {kind: len(genotype.concat(kind)) for kind in ("normal", "reduce")}
        plans, last = plan_cells(channels, cells, start, width)
        self.cells = nn.ModuleList(GenotypeCell(genotype, plan) for plan in plans)
        self.auxiliary_after = 2 * cells // 3
        middle = plans[self.auxiliary_after]
        self.auxiliary_head = (
            AuxiliaryHead(width[middle.kind] * middle.channels, num_classes, 2 if imagenet else 3, not imagenet)
            if auxiliary
            else None
        )
        self.classifier = nn.Linear(last.channels, num_classes)

    def _cifar_states(self, channels: int) -> list[State]:
        return [State(STEM_MULTIPLIER * channels, 0)] * self.genotype.inputs

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor | None]:
        """(B, 3, H, W) -> logits (B, num_classes); with an auxiliary head, (logits, auxiliary logits).

        In evaluation the auxiliary head does not run, and None stands for its logits.
        """
        auxiliary = None
        stem = self.stem(x)
        states = list(stem) if isinstance(stem, tuple) else [stem] * self.genotype.inputs
        for index, cell in enumerate(self.cells):
            states = [*states[1:], cell(states, self.drop_path)]
            if index == self.auxiliary_after and self.auxiliary_head is not None and self.training:
                auxiliary = self.auxiliary_head(states[-1])
        logits = self.classifier(states[-1].mean((2, 3)))
        return logits if self.auxiliary_head is None else (logits, auxiliary)
