"""Search spaces: which operators compete on every edge of a cell, and how a cell is laid out.

A space is a YAML file in ``search_spaces/``; ``"darts+sandglass"`` composes two of them, as the paper adds its block
to the DARTS space ("Rethinking Bottleneck Structure for Efficient Mobile Network Design", arXiv 2007.02269, section
4.4).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.paths import shipped_folder
from nas.core.registry import NAME, nearest
from nas.graph.cell import MAX_NAME, MAX_NODES, check_size
from nas.storage.yaml_file import check_keys, read_mapping

MAX_OPERATORS = 64
MAX_CHOICES = 10_000  # operators on all edges of a cell; DARTS has 112
MAX_TITLE = 200
TOPOLOGY = ("inputs", "intermediate_nodes", "edges_per_node")


@dataclass(frozen=True)
class Space:
    """Operators by name, in the order of the alphas' columns, and the layout of a cell.

    A cell has ``inputs`` outputs of previous cells, ``intermediate_nodes`` nodes with an edge from every earlier
    node, and one output. A genotype keeps ``edges_per_node`` edges of each node. Raises :class:`InputError` for sizes
    that no cell can have, and for malformed, repeated or missing operators.
    """

    name: str
    operators: tuple[str, ...]
    inputs: int = 2
    intermediate_nodes: int = 4
    edges_per_node: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isprintable() or len(self.name) > MAX_TITLE:
            raise InputError(f"space {format_value(self.name)}: a name of at most {MAX_TITLE} characters is allowed")
        where = f"space {self.name}"
        object.__setattr__(self, "operators", _checked_operators(self.operators, where))
        if set(self.operators) == {"none"}:
            raise InputError(f"{where}: 'none' is its only operator, nothing could be derived from it")
        for size in TOPOLOGY:
            check_size(f"{where}: {size}", getattr(self, size))
        if self.nodes > MAX_NODES:
            raise InputError(f"{where}: {self.nodes} nodes with inputs and output, at most {MAX_NODES} are allowed")
        if len(self.edges) * len(self.operators) > MAX_CHOICES:
            got = f"{len(self.operators)} operators on each of {len(self.edges)} edges"
            raise InputError(f"{where}: {got}: at most {MAX_CHOICES:,} in all are allowed")
        if self.edges_per_node > self.inputs:
            sizes = f"edges_per_node {self.edges_per_node} is more than inputs {self.inputs}"
            raise InputError(f"{where}: {sizes}: the first node has no more than the inputs to take edges from")

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(target, source) of all edges, ordered by target, then source: the rows of the alphas."""
        targets = range(self.inputs, self.inputs + self.intermediate_nodes)
        return tuple((target, source) for target in targets for source in range(target))

    @property
    def nodes(self) -> int:
        """How many nodes a cell has: inputs, intermediate nodes and the output."""
        return self.inputs + self.intermediate_nodes + 1


class SpaceFile(NamedTuple):
    """What one YAML file says: one line of description, operators, and the topology fields that it states."""

    name: str
    description: str
    operators: tuple[str, ...]
    topology: Mapping[str, int]
    where: str


def read_space(spec: str) -> Space:
    """The space that ``spec`` names: names of spaces or paths to YAML files, composed with ``+``.

    Operators are united in order; a topology field that two files state must agree, one that none states has the
    default of :class:`Space`. Whether the operators exist is for the operator registry to say. Raises
    :class:`InputError`.
    """
    if not isinstance(spec, str) or not spec.strip():
        raise InputError(f"space {format_value(spec)} is empty: {_allowed()}")
    parts = [part.strip() for part in spec.split("+")]
    if not all(parts):
        raise InputError(f"space {format_value(spec)}: nothing stands on one side of a +: {_allowed()}")
    files = [_read_file(_locate(part)) for part in parts]
    operators = tuple(dict.fromkeys(operator for file in files for operator in file.operators))
    return Space("+".join(dict.fromkeys(file.name for file in files)), operators, **_one_topology(files))


def list_spaces() -> list[SpaceFile]:
    """The spaces that travel with the program, by name."""
    return [_read_file(path) for path in _shipped().values()]


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(shipped_folder("search_spaces").glob("*.yaml"))}


def _allowed() -> str:
    return f"{', '.join(_shipped())} or the path of a YAML file is allowed, composed with +"


def _locate(part: str) -> Path:
    if part.endswith((".yaml", ".yml")) or "/" in part or "\\" in part:
        return Path(part)
    shipped = _shipped()
    if part not in shipped:
        raise InputError(
            f"unknown space {format_value(part)}: {nearest(part, shipped)} (the path of a YAML file works too)"
        )
    return shipped[part]


def _read_file(path: Path) -> SpaceFile:
    where = format_value(path)
    data = read_mapping(path)
    check_keys(data, ["description", "operators", "topology"], where)
    description = data.get("description", "")
    if not isinstance(description, str) or not description.isprintable():
        raise InputError(f"{where}: description: one line of text is expected, got {format_value(description)}")
    if "operators" not in data:
        raise InputError(f"{where}: operators is missing: a list of operator names is expected")
    topology = data.get("topology", {})
    if not isinstance(topology, dict):
        raise InputError(f"{where}: topology: a mapping is expected, got {format_value(topology)}")
    check_keys(topology, TOPOLOGY, f"{where}: topology")
    for size, value in topology.items():
        check_size(f"{where}: {size}", value)
    name = re.sub(r"[^\w.-]", "_", path.stem)
    return SpaceFile(name, description, _checked_operators(data["operators"], where), topology, where)


def _checked_operators(operators: object, where: str) -> tuple[str, ...]:
    if not isinstance(operators, list | tuple) or not operators:
        raise InputError(f"{where}: operators: a list of operator names is expected, got {format_value(operators)}")
    if len(operators) > MAX_OPERATORS:
        raise InputError(f"{where}: {len(operators)} operators, at most {MAX_OPERATORS} are allowed")
    for operator in operators:
        if not isinstance(operator, str) or not NAME.fullmatch(operator) or len(operator) > MAX_NAME:
            rule = "a name is letters, digits and _, beginning with a letter"
            raise InputError(f"{where}: operator {format_value(operator)}: {rule}, at most {MAX_NAME} characters")
        if operators.count(operator) > 1:
            raise InputError(f"{where}: operator {operator!r} is listed twice")
    return tuple(operators)


def _one_topology(files: list[SpaceFile]) -> dict[str, Any]:
    """The fields that the files state; raises :class:`InputError` for two files that disagree."""
    stated: dict[str, tuple[int, str]] = {}
    for file in files:
        for size, value in file.topology.items():
            first, where = stated.setdefault(size, (value, file.where))
            if value != first:
                raise InputError(f"spaces disagree on {size}: {first} in {where}, {value} in {file.where}")
    return {size: value for size, (value, _) in stated.items()}
