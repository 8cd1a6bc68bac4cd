"""Super-operators: blocks of several convolutions that act as one operator of an edge (arXiv 2007.02269, §4.4)."""

from collections.abc import Iterable

_PREFIXES = ("sandglass_", "ir_", "variant_")


def super_operators(operators: Iterable[str]) -> list[str]:
    """Return the super-operators among ``operators``, identified by the prefix of their names."""
    return [operator for operator in operators if operator.startswith(_PREFIXES)]
