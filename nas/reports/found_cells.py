"""What searches found, in figures: operators in the cells, super-operators by node, strengths at the end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.run_files import GENOTYPE
from nas.graph.cell import CELL_KINDS
from nas.graph.genotype import Genotype
from nas.graph.superops import super_operators
from nas.graph.zoo import load_genotype
from nas.reports.alpha_evolution import AlphaEvolution, normalized_entropy, read_alpha_evolution
from nas.reports.markdown import DASH, markdown_rows
from nas.reports.run_folder import read_result


@dataclass(frozen=True)
class FinishedSearch:
    """A finished search: how its strengths came about, the cells that they stand for, and its result."""

    evolution: AlphaEvolution
    genotype: Genotype
    result: dict[str, Any]

    @property
    def begin(self) -> tuple[str, str]:
        """The first cells of its lines."""
        return self.evolution.title, str(self.evolution.seed)


def read_finished_search(folder: Path) -> FinishedSearch:
    """The finished search in ``folder``; raises :class:`InputError` for anything else."""
    result = read_result(folder)
    return FinishedSearch(read_alpha_evolution(folder), load_genotype(folder / GENOTYPE), result)


def describe_searches(searches: Sequence[FinishedSearch]) -> str:
    """Markdown: the found cells, super-operators by node, and the mean strength of every operator at the end."""
    parts = [
        "## The found cells",
        "Edges by operator. Entropy: the edges' mean at the end, as a share of the largest (1: all operators even).",
        found_cells(searches),
        "## Super-operators by node",
        "Their mean strength at the end over the edges into the node; in brackets, how many of the edges that the "
        "found cell keeps are theirs. Nodes are numbered as in the genotype files.",
        by_node(searches),
        "## Strengths at the end",
        "The mean over the edges. Even: one divided by the number of operators.",
        strengths_at_the_end(searches),
    ]
    return "\n\n".join(parts) + "\n"


def found_cells(searches: Sequence[FinishedSearch]) -> str:
    """A line for each cell: its edges by operator, the entropy, and the search's validation accuracy."""
    operators = [operator for operator in _operators(searches) if operator != "none"]
    lines = []
    for search in searches:
        accuracy = search.result.get("valid_accuracy")
        shown = DASH if accuracy is None else f"{100 * accuracy:.1f}"
        for kind in CELL_KINDS:
            kept = Counter(operator for operator, _ in search.genotype.edges(kind))
            counts = [str(kept[o]) if o in search.evolution.space.operators else DASH for o in operators]
            even = f"{normalized_entropy(search.evolution.last[kind]):.4f}"
            lines.append([*search.begin, str(search.result.get("epochs", DASH)), shown, kind, *counts, even])
    return markdown_rows(["space", "seed", "epochs", "validation accuracy %", "cell", *operators, "entropy"], lines)


def by_node(searches: Sequence[FinishedSearch]) -> str:
    """A line for each cell and super-operator of its space: strength and kept edges at each node."""
    nodes = sorted({target for search in searches for target, _ in search.evolution.space.edges})
    lines = []
    for search in searches:
        space = search.evolution.space
        for operator in super_operators(space.operators):
            column = space.operators.index(operator)
            for kind in CELL_KINDS:
                kept = {node: [o for o, _ in edges].count(operator) for node, edges in search.genotype.nodes(kind)}
                strengths = search.evolution.last[kind][:, column]
                cells = [_at(node, strengths, space.edges, kept) for node in nodes]
                lines.append([*search.begin, operator, kind, *cells, f"{1 / len(space.operators):.4f}"])
    if not lines:
        return "No space with super-operators was searched."
    return markdown_rows(
        ["space", "seed", "super-operator", "cell", *(f"node {node}" for node in nodes), "even"], lines
    )


def strengths_at_the_end(searches: Sequence[FinishedSearch]) -> str:
    """A line for each cell: the mean strength of every operator."""
    operators = _operators(searches)
    lines = []
    for search in searches:
        own = search.evolution.space.operators
        for kind in CELL_KINDS:
            means = dict(zip(own, search.evolution.last[kind].mean(axis=0), strict=True))
            cells = [f"{means[operator]:.4f}" if operator in means else DASH for operator in operators]
            lines.append([*search.begin, kind, *cells, f"{1 / len(own):.4f}"])
    return markdown_rows(["space", "seed", "cell", *operators, "even"], lines)


def _at(node: int, strengths: Iterable[float], edges: Iterable[tuple[int, int]], kept: dict[int, int]) -> str:
    into = [strength for strength, (target, _) in zip(strengths, edges, strict=True) if target == node]
    return f"{sum(into) / len(into):.4f} ({kept.get(node, 0)})" if into else DASH


def _operators(searches: Sequence[FinishedSearch]) -> list[str]:
    """All operators of the searches' spaces, in their order."""
    return list(dict.fromkeys(operator for search in searches for operator in search.evolution.space.operators))
