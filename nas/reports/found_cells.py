"""Tables of what searches found: operators in the cells, super-operators by node, final strengths."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.run_files import GENOTYPE
from nas.graph.genotype import Genotype
from nas.graph.operator_style import super_operators
from nas.graph.zoo import load_genotype
from nas.reports.alpha_evolution import AlphaEvolution, read_alpha_evolution
from nas.reports.markdown import DASH, markdown_rows
from nas.reports.run_folder import read_result


@dataclass(frozen=True)
class FinishedSearch:
    """A finished search: its strengths by epoch, the cells derived from them, and its result."""

    evolution: AlphaEvolution
    genotype: Genotype
    result: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """The space and the seed, which are the first cells of every table row."""
        return self.evolution.title, str(self.evolution.seed)


def read_finished_search(folder: Path) -> FinishedSearch:
    """Read the finished search in ``folder``; raises :class:`InputError` if there is none."""
    result = read_result(folder)
    return FinishedSearch(read_alpha_evolution(folder), load_genotype(folder / GENOTYPE), result)


def describe_searches(searches: Sequence[FinishedSearch]) -> str:
    """Return Markdown: the found cells, super-operators by node, and the final mean strength of every operator."""
    parts = [
        "## The found cells",
        "Number of edges by operator. Entropy: mean over the edges after the last epoch, divided by its maximum "
        "(1: all operators equally strong).",
        cells_table(searches),
        "## Super-operators by node",
        "Mean strength after the last epoch over the edges into the node; in parentheses, the number of kept edges "
        "with that operator. Nodes are numbered as in the genotype files. Even: 1 / number of operators.",
        super_operators_table(searches),
        "## Final strengths",
        "Mean over the edges after the last epoch. Even: 1 / number of operators.",
        strengths_table(searches),
    ]
    return "\n\n".join(parts) + "\n"


def cells_table(searches: Sequence[FinishedSearch]) -> str:
    """Return a row for each cell: its edges by operator, the entropy, and the search's validation accuracy."""
    with_none = any(search.evolution.space.keeps_none for search in searches)
    operators = [operator for operator in _operators(searches) if operator != "none" or with_none]
    rows = []
    for search in searches:
        accuracy = search.result.get("valid_accuracy")
        shown = DASH if accuracy is None else f"{100 * accuracy:.1f}"
        for kind in search.genotype.kinds:
            kept = Counter(operator for operator, _ in search.genotype.edges(kind))
            counts = [str(kept[o]) if o in search.evolution.space.operators else DASH for o in operators]
            entropy = f"{search.evolution.entropy(max(search.evolution.strengths), kind):.4f}"
            rows.append([*search.key, str(search.result.get("epochs", DASH)), shown, kind, *counts, entropy])
    return markdown_rows(["space", "seed", "epochs", "validation accuracy %", "cell", *operators, "entropy"], rows)


def super_operators_table(searches: Sequence[FinishedSearch]) -> str:
    """Return a row for each cell and super-operator of its space: strength and kept edges at each node."""
    nodes = sorted({target for search in searches for target, _ in search.evolution.space.edges})
    rows = []
    for search in searches:
        space = search.evolution.space
        for operator in super_operators(space.operators):
            column = space.operators.index(operator)
            for kind in search.genotype.kinds:
                kept = {node: [o for o, _ in edges].count(operator) for node, edges in search.genotype.nodes(kind)}
                strengths = search.evolution.last[kind][:, column]
                cells = [_strength_and_kept(node, strengths, space.edges, kept) for node in nodes]
                rows.append([*search.key, operator, kind, *cells, f"{1 / len(space.operators):.4f}"])
    if not rows:
        return "None of the spaces has super-operators."
    return markdown_rows(["space", "seed", "super-operator", "cell", *(f"node {node}" for node in nodes), "even"], rows)


def strengths_table(searches: Sequence[FinishedSearch]) -> str:
    """Return a row for each cell: the final mean strength of every operator."""
    operators = _operators(searches)
    rows = []
    for search in searches:
        own = search.evolution.space.operators
        for kind in search.genotype.kinds:
            means = dict(zip(own, search.evolution.last[kind].mean(axis=0), strict=True))
            cells = [f"{means[operator]:.4f}" if operator in means else DASH for operator in operators]
            rows.append([*search.key, kind, *cells, f"{1 / len(own):.4f}"])
    return markdown_rows(["space", "seed", "cell", *operators, "even"], rows)


def _strength_and_kept(
    node: int, strengths: Iterable[float], edges: Iterable[tuple[int, int]], kept: dict[int, int]
) -> str:
    into = [strength for strength, (target, _) in zip(strengths, edges, strict=True) if target == node]
    return f"{sum(into) / len(into):.4f} ({kept.get(node, 0)})" if into else DASH


def _operators(searches: Sequence[FinishedSearch]) -> list[str]:
    """Return all operators of the searched spaces, in order of appearance."""
    return list(dict.fromkeys(operator for search in searches for operator in search.evolution.space.operators))
