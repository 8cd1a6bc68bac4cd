"""Genotype files: human-readable YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import CELL_KINDS, DEFAULT_SIZE, GENOTYPE_SIZES, check_size
from nas.graph.genotype import Genotype
from nas.graph.provenance import Provenance, provenance_from_dict
from nas.storage.atomic_files import write_file
from nas.storage.yaml_file import check_keys, parse_mapping


def genotype_to_yaml(genotype: Genotype) -> str:
    """Return the text of a genotype file: name, origin, sizes other than 2, and each cell node by node."""
    data: dict[str, Any] = {"name": genotype.name} if genotype.name else {}
    if origin := genotype.origin.to_dict():
        data["origin"] = origin
    data |= {size: getattr(genotype, size) for size in GENOTYPE_SIZES if getattr(genotype, size) != DEFAULT_SIZE}
    for cell in CELL_KINDS:
        nodes: dict[Any, Any] = {node: _Row(map(list, edges)) for node, edges in genotype.nodes(cell)}
        data[cell] = nodes | {"concat": _Row(genotype.concat(cell))}
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


def genotype_from_yaml(text: str, where: str) -> Genotype:
    """Parse the text of a genotype file; ``where`` (its name) starts every error message.

    Raises :class:`InputError` for text that is not a YAML mapping, for unknown keys and for invalid cells.
    """
    data = parse_mapping(text, where)
    check_keys(data, ["name", "origin", *GENOTYPE_SIZES, *CELL_KINDS], where)
    for cell in CELL_KINDS:
        if cell not in data:
            raise InputError(f"{where}: the {cell} cell is missing")
    origin = provenance_from_dict(data["origin"], where) if "origin" in data else Provenance()
    try:
        sizes = {size: data.get(size, DEFAULT_SIZE) for size in GENOTYPE_SIZES}
        for size, value in sizes.items():
            check_size(size, value)
        normal, normal_concat = _read_cell(data["normal"], "normal cell", **sizes)
        reduce, reduce_concat = _read_cell(data["reduce"], "reduce cell", **sizes)
        name = data.get("name", "")
        return Genotype(normal, normal_concat, reduce, reduce_concat, **sizes, name=name, origin=origin)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def save_genotype(genotype: Genotype, path: str | Path) -> None:
    """Write the genotype file ``path`` atomically; raise :class:`InputError` if it cannot be written."""
    write_file(Path(path), genotype_to_yaml(genotype).encode())


def _read_cell(data: object, where: str, inputs: int, edges_per_node: int) -> tuple[Any, Any]:
    """Return the flat edge list and concat of one cell; :class:`Genotype` checks their contents."""
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: expected a mapping of nodes, got {format_value(data)}")
    if "concat" not in data:
        raise InputError(f"{where}: concat is missing")
    nodes = {node: edges for node, edges in data.items() if node != "concat"}
    expected = range(inputs, inputs + len(nodes))
    if set(nodes) != set(expected):
        raise InputError(
            f"{where}: nodes {format_value(list(nodes))}: expected {inputs}, {inputs + 1}, … without a gap"
        )
    flat: list[Any] = []
    for node in expected:
        allowed = min(edges_per_node, node)
        if not isinstance(nodes[node], list) or len(nodes[node]) != allowed:
            rule = f"expected a list of {allowed} [operator, source]"
            raise InputError(f"{where}, node {node}: {rule}, got {format_value(nodes[node])}")
        flat += nodes[node]
    return flat, data["concat"]


class _Row(list[Any]):
    """A list that is written on one line, nested lists included."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_row(dumper: yaml.SafeDumper, row: _Row) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", row, flow_style=True)


_Dumper.add_representer(_Row, _represent_row)
