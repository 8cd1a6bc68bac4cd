"""Search spaces: the candidate operators of every edge and the topology of a cell.

A space is a YAML file in ``search_spaces/``; ``"darts+sandglass"`` composes two of them, as the paper adds its block to
the DARTS space ("Rethinking Bottleneck Structure for Efficient Mobile Network Design", arXiv 2007.02269, section
4.4).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.paths import shipped_folder
from nas.core.registry import NAME, nearest
from nas.graph.cell import CELL_KINDS, MAX_NODES, MAX_OPERATOR_NAME, check_size
from nas.storage.yaml_file import check_keys, read_mapping

_MAX_OPERATORS = 64
_MAX_CANDIDATES = 10_000  # operators over all edges of a cell; DARTS has 112
_MAX_TITLE = 200
_TOPOLOGY_FIELDS = ("inputs", "intermediate_nodes", "edges_per_node")


@dataclass(frozen=True)
class Space:
    """Operator names, in the order of the alphas' columns, and the topology of a cell.

    A cell has the outputs of ``inputs`` previous cells, ``intermediate_nodes`` nodes with an edge from every earlier
    node, and one output. A genotype keeps ``edges_per_node`` edges of each node. ``kinds`` are the kinds of cell, each
    with alphas of its own. Raises :class:`InputError` for invalid sizes and for malformed, repeated or missing
    operators.
    """

    name: str
    operators: tuple[str, ...]
    inputs: int = 2
    intermediate_nodes: int = 4
    edges_per_node: int = 2
    kinds: tuple[str, ...] = field(default=CELL_KINDS, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isprintable() or len(self.name) > _MAX_TITLE:
            raise InputError(
                f"space {format_value(self.name)}: invalid name; allowed: one line of at most {_MAX_TITLE} characters"
            )
        where = f"space {self.name}"
        object.__setattr__(self, "operators", _checked_operators(self.operators, where))
        if set(self.operators) == {"none"}:
            raise InputError(f"{where}: 'none' is the only operator; at least one other is needed")
        for size in _TOPOLOGY_FIELDS:
            check_size(f"{where}: {size}", getattr(self, size))
        if self.nodes > MAX_NODES:
            raise InputError(f"{where}: {self.nodes} nodes with inputs and output; allowed: at most {MAX_NODES}")
        if len(self.edges) * len(self.operators) > _MAX_CANDIDATES:
            count = f"{len(self.operators)} operators on each of {len(self.edges)} edges"
            raise InputError(f"{where}: {count}; allowed: at most {_MAX_CANDIDATES:,} in total")
        if self.edges_per_node > self.inputs:
            sizes = f"edges_per_node={self.edges_per_node}: must be at most inputs={self.inputs}"
            raise InputError(f"{where}: {sizes}, the sources of the first node")

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The (target, source) of all edges, ordered by target, then source: the rows of the alphas."""
        targets = range(self.inputs, self.inputs + self.intermediate_nodes)
        return tuple((target, source) for target in targets for source in range(target))

    @property
    def nodes(self) -> int:
        """The number of nodes of a cell: inputs, intermediate nodes and the output."""
        return self.inputs + self.intermediate_nodes + 1


class SpaceFile(NamedTuple):
    """The contents of one YAML file; ``topology`` holds only the fields that the file specifies."""

    name: str
    description: str
    operators: tuple[str, ...]
    topology: Mapping[str, int]
    where: str


def read_space(spec: str) -> Space:
    """Read the space ``spec``: names of spaces or paths of YAML files, composed with ``+``.

    Operators are united in order. Files must agree on a topology field that they specify; a field that none specifies
    has the default of :class:`Space`. Operators are not looked up in the operator registry. Raises
    :class:`InputError`.
    """
    if not isinstance(spec, str) or not spec.strip():
        raise InputError(f"space={format_value(spec)}: is empty; allowed: {_allowed()}")
    parts = [part.strip() for part in spec.split("+")]
    if not all(parts):
        raise InputError(f"space={format_value(spec)}: a name is missing next to +; allowed: {_allowed()}")
    files = [_read_file(_locate(part)) for part in parts]
    operators = tuple(dict.fromkeys(operator for file in files for operator in file.operators))
    return Space("+".join(dict.fromkeys(file.name for file in files)), operators, **_merge_topology(files))


def space_fingerprint(space: Space) -> dict[str, str]:
    """Return the named parts of the fingerprint of ``space``: the digest of its operators, and its topology.

    They depend on what the YAML files say and not on their paths, comments or layout.
    """
    topology = ", ".join(f"{size} {getattr(space, size)}" for size in _TOPOLOGY_FIELDS)
    return {
        "space.operators": hashlib.sha256(" ".join(space.operators).encode()).hexdigest(),
        "space.topology": topology,
    }


def list_spaces() -> list[SpaceFile]:
    """Return the shipped spaces, ordered by name."""
    return [_read_file(path) for path in _shipped().values()]


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(shipped_folder("search_spaces").glob("*.yaml"))}


def _allowed() -> str:
    return f"{', '.join(_shipped())} or the path of a YAML file, composed with +"


def _locate(part: str) -> Path:
    if part.endswith((".yaml", ".yml")) or "/" in part or "\\" in part:
        return Path(part)
    shipped = _shipped()
    if part not in shipped:
        raise InputError(
            f"unknown space {format_value(part)}: {nearest(part, shipped)} (also allowed: the path of a YAML file)"
        )
    return shipped[part]


def _read_file(path: Path) -> SpaceFile:
    where = format_value(path)
    data = read_mapping(path)
    check_keys(data, ["description", "operators", "topology"], where)
    description = data.get("description", "")
    if not isinstance(description, str) or not description.isprintable():
        raise InputError(f"{where}: description: expected one line of text, got {format_value(description)}")
    if "operators" not in data:
        raise InputError(f"{where}: operators: missing; expected a list of operator names")
    topology = data.get("topology", {})
    if not isinstance(topology, dict):
        raise InputError(f"{where}: topology: expected a mapping, got {format_value(topology)}")
    check_keys(topology, _TOPOLOGY_FIELDS, f"{where}: topology")
    for size, value in topology.items():
        check_size(f"{where}: {size}", value)
    name = re.sub(r"[^\w.-]", "_", path.stem)
    return SpaceFile(name, description, _checked_operators(data["operators"], where), topology, where)


def _checked_operators(operators: object, where: str) -> tuple[str, ...]:
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


def _merge_topology(files: list[SpaceFile]) -> dict[str, Any]:
    """Merge the specified fields; raise :class:`InputError` if two files disagree."""
    merged: dict[str, tuple[int, str]] = {}
    for file in files:
        for size, value in file.topology.items():
            first, where = merged.setdefault(size, (value, file.where))
            if value != first:
                raise InputError(f"spaces disagree on {size}: {first} in {where}, {value} in {file.where}")
    return {size: value for size, (value, _) in merged.items()}
