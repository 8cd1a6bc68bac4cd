"""Signs that a search has settled on its cells: picks that no longer change, and operators that lead the next clearly.

A *pick* is an operator on an edge of the derived genotype. The *lead* of a pick is by how much its strength exceeds the
strongest operator on its edge that was not picked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_plural
from nas.core.run_files import METRICS
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.graph.zoo import load_genotype
from nas.runtime.metrics_log import read_metrics

Picks = Counter[tuple[str, int, str, int]]  # kind of cell, node, operator, source

_STILL_FRACTION, _STILL_EPOCHS = 0.1, 2  # no pick may change in the last tenth of the epochs, at least two
_LEAD_FRACTION = 0.1  # of the strength that all operators would have if they were equally strong


@dataclass(frozen=True)
class Settledness:
    """The picks of a search after its last epoch.

    ``changed`` of the ``picks`` changed in the last epoch, None if there was no epoch before it; none changed in the
    last ``still`` epochs. ``lead`` is the mean of the picks, None if no edge has a choice of operators. ``even`` is the
    strength of an operator if all are equally strong.
    """

    picks: int
    changed: int | None
    still: int
    lead: float | None
    even: float
    epochs: int

    @property
    def needed(self) -> int:
        """The last epochs in which no pick may change."""
        return max(_STILL_EPOCHS, ceil(_STILL_FRACTION * self.epochs))

    @property
    def leads(self) -> bool:
        """Whether the picked operators lead the next clearly: by a tenth of an even strength, on average."""
        return self.lead is None or self.lead >= _LEAD_FRACTION * self.even

    @property
    def settled(self) -> bool:
        """Whether the cells would probably be the same after some more epochs."""
        return self.still >= self.needed and self.leads

    def to_dict(self) -> dict[str, Any]:
        """Return the entries of ``result.json``."""
        figures = {"total": self.picks, "changed_in_last_epoch": self.changed, "epochs_unchanged": self.still}
        return {"settled": self.settled, "picks": {**figures, "lead": self.lead, "even": self.even}}

    def describe(self, alphas_lr: float) -> str:
        """Return a line for the console; if the search has not settled, it says what would help."""
        lead = "" if self.lead is None else f"a pick leads the next operator by {format_lead(self.lead, self.even)}"
        if self.settled:
            still = f"no pick changed in the last {format_plural(self.still, 'epoch')}"
            return "settled: " + "; ".join(filter(None, [still, lead]))
        if self.changed:
            changes = f"{self.changed} of {format_plural(self.picks, 'pick')} changed in the last epoch"
        else:
            changes = f"no pick changed in {format_plural(self.still, 'epoch')}, of {self.needed} needed"
        causes = [changes] if self.still < self.needed else []
        helps = ["more epochs"] if self.still < self.needed else []
        if not self.leads:
            causes, helps = [*causes, lead], [*helps, f"a higher alphas.lr (now {alphas_lr:g})"]
        return f"not settled: {'; '.join(causes)}; {' or '.join(helps)} would help, and a second seed shows how much"


def format_lead(lead: float, even: float) -> str:
    """Return a lead next to the strength of operators that are all equally strong."""
    return f"{lead:.2g} (even: {even:.2g})"


def genotype_picks(genotype: Genotype) -> Picks:
    """Return the picks of a genotype; an operator may be picked twice on an edge."""
    nodes = ((kind, node, edges) for kind in genotype.kinds for node, edges in genotype.nodes(kind))
    return Counter((kind, node, operator, source) for kind, node, edges in nodes for operator, source in edges)


def changed_picks(genotype: Genotype, before: Path) -> int | None:
    """Return how many picks are not in the genotype file ``before``; None if that is missing or cannot be read."""
    try:
        earlier = genotype_picks(load_genotype(before))
    except InputError:
        return None
    picks = genotype_picks(genotype)
    return (picks - earlier).total()


def mean_lead(genotype: Genotype, strengths: Mapping[str, Sequence[Sequence[float]]], space: Space) -> float | None:
    """Return the mean lead of the picks, from strengths (edges, operators) by kind; None if there is no choice.

    A pick that the space does not have, which a method's own selection may return, does not count.
    """
    rows = {edge: row for row, edge in enumerate(space.edges)}
    picked: dict[tuple[str, int, int], list[str]] = {}
    for kind, node, operator, source in genotype_picks(genotype):
        picked.setdefault((kind, node, source), []).append(operator)
    leads = []
    for (kind, node, source), operators in picked.items():
        row = rows.get((node, source))
        if row is None or not set(operators) <= set(space.operators_on(kind, row)):
            continue
        own = dict(zip(space.operators, strengths[kind][row], strict=True))
        rivals = [
            own[name]
            for name in space.operators_on(kind, row)
            if name not in operators and (name != "none" or space.keeps_none)
        ]
        leads += [own[operator] - max(rivals) for operator in operators if rivals]
    return sum(leads) / len(leads) if leads else None


def even_strength(space: Space) -> float:
    """Return the strength of an operator on an edge with all operators of ``space`` if they are equally strong."""
    return 1 / len(space.operators)


def read_settledness(folder: Path, genotype: Genotype, space: Space) -> Settledness:
    """Return the settledness of the search in ``folder``, from its metrics; raises :class:`InputError`."""
    rows = read_metrics(folder / METRICS)
    changes = [row.get("picks_changed") for row in rows]
    still = next((k for k, changed in enumerate(reversed(changes)) if changed != 0), len(changes))
    last = rows[-1] if rows else {}
    lead, picks = last.get("lead"), genotype_picks(genotype).total()
    return Settledness(picks, last.get("picks_changed"), still, lead, even_strength(space), len(rows))
