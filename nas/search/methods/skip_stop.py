"""The early stop by skip connections: a search ends before DARTS' known collapse shows in its cells.

After an epoch, a cell has collapsed if half of its derived edges are ``skip_connect``, or ``none`` is stronger than
every other operator on every edge. The search then ends, with the genotype of the last epoch in which no cell had.
DARTS+ (arXiv 1909.06035) stops likewise at a number of skips in the normal cell.
"""

from dataclasses import dataclass

from nas.core.validation import require
from nas.graph.genotype import Genotype
from nas.graph.zoo import load_genotype
from nas.search.collapse import collapse_signs
from nas.search.method import Method, SearchView
from nas.search.methods.registry import register_method

_MEMORY = "skip_stop"


@dataclass(frozen=True)
class SkipStopSettings:
    """``share`` of the derived edges; ``not_before``: no stop in this part of the epochs, when cells are random."""

    share: float = 0.5
    not_before: float = 0.2

    def __post_init__(self) -> None:
        require("methods.skip_stop.share", self.share, 0 < self.share <= 1, "must lie in 0..1, above 0")
        require("methods.skip_stop.not_before", self.not_before, 0 <= self.not_before <= 1, "must lie in 0..1")


def has_collapsed(view: SearchView, share: float) -> bool:
    """Return whether a kind of cell has so large a share of skips, or ``none`` leads on all of its edges."""
    space, genotype = view.supernet.space, view.supernet.genotype()
    for kind, strengths in view.supernet.strengths().items():
        signs = collapse_signs(strengths.detach().tolist(), space, genotype.edges(kind), kind)
        if signs.skips >= share * signs.edges or len(signs.none_nodes) == space.intermediate_nodes:
            return True
    return False


@register_method(
    "skip_stop",
    settings=SkipStopSettings,
    paper="after DARTS+, arXiv 1909.06035",
    when="to stop a search when half of the edges are skip connections",
)
def skip_stop(settings: SkipStopSettings) -> Method:
    """Return DARTS that ends before its cells are made of skip connections."""

    def stop(view: SearchView) -> bool:
        collapsed = has_collapsed(view, settings.share)
        if not collapsed:
            view.memory[_MEMORY] = repr(view.supernet.genotype())
        return collapsed and view.epoch >= settings.not_before * view.epochs

    def select(view: SearchView) -> Genotype:
        last = view.memory.get(_MEMORY)
        if last is not None and view.epoch >= settings.not_before * view.epochs and has_collapsed(view, settings.share):
            return load_genotype(last)
        return view.supernet.genotype()

    return Method(stop=stop, select=select)
