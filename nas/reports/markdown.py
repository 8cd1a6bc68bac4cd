"""Markdown tables."""

from collections.abc import Iterable, Sequence

DASH = "–"  # for an unknown value


def markdown_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the table, without a trailing newline."""
    rule = "|" + "---|" * len(header)
    return "\n".join([f"| {' | '.join(header)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])
