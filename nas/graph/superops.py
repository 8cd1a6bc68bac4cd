"""Super-operators: blocks of several convolutions that compete on an edge as one operator (arXiv 2007.02269, §4.4)."""

from collections.abc import Iterable

BEGINNINGS = ("sandglass_", "ir_", "variant_")


def super_operators(operators: Iterable[str]) -> list[str]:
    """Those of the operators that are super-operators, by the beginnings of their names."""
    return [operator for operator in operators if operator.startswith(BEGINNINGS)]
