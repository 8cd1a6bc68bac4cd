"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

DASH = "–"  # where a figure is not known


def markdown_rows(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """The table, without a line break at its end."""
    rule = "|" + "---|" * len(head)
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)])
