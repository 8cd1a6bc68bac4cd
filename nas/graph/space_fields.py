"""The fields of a search space, besides its name: their defaults, which are DARTS' (arXiv 1806.09055), and checks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import NAME
from nas.graph.cell import (
    ALL_EDGES,
    CELL_KINDS,
    COMBINE_RULES,
    MAX_OPERATOR_NAME,
    check_choice,
    check_kinds,
    check_size,
)
from nas.graph.genotype import DEFAULT_SKELETON

OUTPUTS = ("concat", "last")  # of all intermediate nodes; the last one alone
TOPOLOGY_DEFAULTS: dict[str, Any] = {
    "inputs": 2,
    "intermediate_nodes": 4,
    "edges_per_node": 2,
    "kinds": CELL_KINDS,
    "operators_per_edge": 1,
    "output": "concat",
    "combine": "sum",
    "skeleton": DEFAULT_SKELETON,
    "operators_as_retrained": False,
    "edge_operators": None,
}
TOPOLOGY_SIZES = ("inputs", "intermediate_nodes", "edges_per_node")
_MAX_OPERATORS = 64

EdgeOperators = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]  # by kind: the operators of every edge


def check_topology_field(name: str, value: object, where: str) -> None:
    """Raise :class:`InputError`, starting with ``where``, if ``value`` alone is invalid as the field ``name``."""
    label = f"{where}: {name}"
    if name in ("inputs", "intermediate_nodes", "operators_per_edge"):
        check_size(label, value)
    elif name == "edges_per_node":
        check_size(label, value, (ALL_EDGES,))
    elif name == "kinds":
        check_kinds(value, where)
    elif name in ("output", "combine"):
        check_choice(label, value, OUTPUTS if name == "output" else COMBINE_RULES)
    elif name == "skeleton":
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise InputError(f"{label}={format_value(value)}: must be the name of a skeleton, such as darts")
    elif name == "operators_as_retrained":
        if not isinstance(value, bool):
            raise InputError(f"{label}={format_value(value)}: must be true or false")
    elif value is not None and not isinstance(value, Mapping | tuple):
        raise InputError(f"{label}: expected the operators of every edge by kind of cell, got {format_value(value)}")


def check_operator_list(operators: object, where: str) -> tuple[str, ...]:
    """Return ``operators`` as a tuple; raise :class:`InputError` unless they are different names of operators."""
    if not isinstance(operators, list | tuple) or not operators:
        raise InputError(f"{where}: operators: expected a list of operator names, got {format_value(operators)}")
    if len(operators) > _MAX_OPERATORS:
        raise InputError(f"{where}: {len(operators)} operators; allowed: at most {_MAX_OPERATORS}")
    for operator in operators:
        if not isinstance(operator, str) or not NAME.fullmatch(operator) or len(operator) > MAX_OPERATOR_NAME:
            rule = f"letters, digits and _, starting with a letter, at most {MAX_OPERATOR_NAME} characters"
            raise InputError(f"{where}: operator {format_value(operator)}: invalid name; allowed: {rule}")
        if operators.count(operator) > 1:
            raise InputError(f"{where}: operator {operator!r} is listed twice")
    return tuple(operators)


def check_edge_operators(
    given: object, kinds: Sequence[str], edges: Sequence[tuple[int, int]], operators: Sequence[str], where: str
) -> EdgeOperators:
    """Return the operators of every edge by kind, in the order of ``operators``.

    ``given`` maps each of ``kinds`` to one list of names for each of ``edges``, which are (target, source). Raises
    :class:`InputError` for missing kinds or edges, for operators that are not in ``operators`` or on no edge, and for
    an edge without any besides ``none``.
    """
    pairs = given.items() if isinstance(given, Mapping) else given
    valid = isinstance(pairs, Iterable) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs)
    by_kind: dict[object, Any] = dict(given) if valid else {}  # type: ignore[call-overload]
    if set(by_kind) != set(kinds):
        expected = f"expected the kinds {', '.join(kinds)}"
        raise InputError(f"{where}: edge_operators: {expected}, got {format_value(list(by_kind))}")
    found = []
    for kind in kinds:
        lists = by_kind[kind]
        if not isinstance(lists, list | tuple) or len(lists) != len(edges):
            got = f"{len(lists)} lists" if isinstance(lists, list | tuple) else format_value(lists)
            rule = f"expected {len(edges)} lists of operators, one for each edge, got {got}"
            raise InputError(f"{where}: edge_operators of {kind}: {rule}")
        found.append(
            (kind, tuple(_ordered(own, operators, where, kind, edge) for own, edge in zip(lists, edges, strict=True)))
        )
    used = {operator for _, lists in found for own in lists for operator in own}
    for operator in operators:
        if operator not in used:
            raise InputError(f"{where}: edge_operators: operator {operator!r} is on no edge")
    return tuple(found)


def _ordered(own: object, operators: Sequence[str], where: str, kind: str, edge: tuple[int, int]) -> tuple[str, ...]:
    place = f"{where}: edge_operators of {kind}, edge {edge[0]}←{edge[1]}"
    names = check_operator_list(own, place)
    for name in names:
        if name not in operators:
            raise InputError(f"{place}: operator {name!r} is not among the space's: {', '.join(operators)}")
    if names == ("none",):
        raise InputError(f"{place}: 'none' is the only operator; at least one other is needed")
    return tuple(operator for operator in operators if operator in names)
