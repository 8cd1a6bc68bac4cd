"""Search spaces: the candidate operators of every edge, the topology of a cell, and what is built around the cells."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import ALL_EDGES, CELL_KINDS, MAX_NODES
from nas.graph.genotype import DEFAULT_SKELETON
from nas.graph.notebook import space_html
from nas.graph.space_fields import (
    TOPOLOGY_DEFAULTS,
    TOPOLOGY_SIZES,
    EdgeOperators,
    check_edge_operators,
    check_operator_list,
    check_topology_field,
)

_MAX_CANDIDATES = 10_000  # operators over all edges of a cell; DARTS has 112
_MAX_TITLE = 200


@dataclass(frozen=True)
class Space:
    """Operator names, in the order of the alphas' columns, and the topology of a cell.

    A cell has the outputs of ``inputs`` previous cells, ``intermediate_nodes`` nodes with an edge from every earlier
    node, and one output. A genotype keeps ``edges_per_node`` edges of each node, with ``operators_per_edge`` operators
    each; ``edges_per_node="all"`` keeps every edge, whose operator may then be ``none``. ``kinds`` are the kinds of
    cell, each with alphas of its own.

    ``output`` is ``"concat"`` (all intermediate nodes) or, if all edges are kept, ``"last"``; ``combine`` says how a
    node combines its edges: ``"sum"``, or ``"mean"``, their sum divided by their number. ``skeleton`` names the network
    around the cells (:mod:`nas.models.skeletons`). In the search, BatchNorms learn no scale and shift, and one follows
    each pool; with ``operators_as_retrained``, operators are built as for retraining instead. ``edge_operators`` maps a
    kind to the operators of every edge, in the order of ``edges``, where these differ; ``operators`` is their union.

    Raises :class:`InputError` for invalid fields and for malformed, repeated or missing operators.
    """

    name: str
    operators: tuple[str, ...]
    inputs: int = 2
    intermediate_nodes: int = 4
    edges_per_node: int | str = 2
    _: KW_ONLY
    kinds: tuple[str, ...] = CELL_KINDS
    operators_per_edge: int = 1
    output: str = "concat"
    combine: str = "sum"
    skeleton: str = DEFAULT_SKELETON
    operators_as_retrained: bool = False
    edge_operators: Mapping[str, Sequence[Sequence[str]]] | EdgeOperators | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isprintable() or len(self.name) > _MAX_TITLE:
            raise InputError(
                f"space {format_value(self.name)}: invalid name; allowed: one line of at most {_MAX_TITLE} characters"
            )
        where = f"space {self.name}"
        object.__setattr__(self, "operators", check_operator_list(self.operators, where))
        if set(self.operators) == {"none"}:
            raise InputError(f"{where}: 'none' is the only operator; at least one other is needed")
        for field in TOPOLOGY_DEFAULTS:
            check_topology_field(field, getattr(self, field), where)
        object.__setattr__(self, "kinds", tuple(self.kinds))
        if self.nodes > MAX_NODES:
            raise InputError(f"{where}: {self.nodes} nodes with inputs and output; allowed: at most {MAX_NODES}")
        if len(self.edges) * len(self.operators) > _MAX_CANDIDATES:
            count = f"{len(self.operators)} operators on each of {len(self.edges)} edges"
            raise InputError(f"{where}: {count}; allowed: at most {_MAX_CANDIDATES:,} in total")
        if not isinstance(self.edges_per_node, str) and self.edges_per_node > self.inputs:
            sizes = f"edges_per_node={self.edges_per_node}: must be at most inputs={self.inputs}"
            raise InputError(f"{where}: {sizes}, the sources of the first node")
        if self.output == "last" and self.edges_per_node != ALL_EDGES:
            rule = "needs edges_per_node=all: else a derived node might have no path to the output"
            raise InputError(f"{where}: output=last: {rule}")
        if self.edge_operators is not None:
            checked = check_edge_operators(self.edge_operators, self.kinds, self.edges, self.operators, where)
            object.__setattr__(self, "edge_operators", checked)

    def _repr_html_(self) -> str:
        return space_html(self)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The (target, source) of all edges, ordered by target, then source: the rows of the alphas."""
        targets = range(self.inputs, self.inputs + self.intermediate_nodes)
        return tuple((target, source) for target in targets for source in range(target))

    @property
    def nodes(self) -> int:
        """The number of nodes of a cell: inputs, intermediate nodes and the output."""
        return self.inputs + self.intermediate_nodes + 1

    @property
    def concat(self) -> tuple[int, ...]:
        """The nodes whose concatenation is the output of a cell."""
        last = self.nodes - 2
        return (last,) if self.output == "last" else tuple(range(self.inputs, last + 1))

    @property
    def keeps_none(self) -> bool:
        """Whether a genotype may have ``none`` on an edge: all edges are kept, with one operator each."""
        return self.edges_per_node == ALL_EDGES and self.operators_per_edge == 1

    def operators_on(self, kind: str, edge: int) -> tuple[str, ...]:
        """Return the operators on an edge, given by its index in ``edges``, of a kind of cell."""
        if self.edge_operators is None:
            return self.operators
        own: Sequence[str] = dict(self.edge_operators)[kind][edge]
        return tuple(own)

    def topology(self) -> dict[str, Any]:
        """Return the sizes, and the other fields that differ from DARTS', as plain data."""
        values = {name: getattr(self, name) for name in TOPOLOGY_DEFAULTS}
        return {n: value for n, value in values.items() if n in TOPOLOGY_SIZES or value != TOPOLOGY_DEFAULTS[n]}


def space_fingerprint(space: Space) -> dict[str, str]:
    """Return the named parts of the fingerprint of ``space``: the digest of its operators, and its topology.

    They depend on what the YAML files say and not on their paths, comments or layout.
    """
    topology = space.topology()
    lists = topology.pop("edge_operators", None)
    parts = {
        "space.operators": hashlib.sha256(" ".join(space.operators).encode()).hexdigest(),
        "space.topology": ", ".join(f"{name} {value}" for name, value in topology.items()),
    }
    if lists is not None:
        parts["space.edge_operators"] = hashlib.sha256(repr(lists).encode()).hexdigest()
    return parts
