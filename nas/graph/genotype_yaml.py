"""Genotype files: human-readable YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import (
    ALL_EDGES,
    ANY_EDGES,
    CELL_KINDS,
    DEFAULT_SIZE,
    GENOTYPE_SIZES,
    cell_title,
    check_kinds,
    check_size,
    count_edges,
)
from nas.graph.genotype import GENOTYPE_OPTIONS, Genotype
from nas.graph.provenance import Provenance, provenance_from_dict
from nas.storage.atomic_files import write_file
from nas.storage.yaml_file import check_keys, parse_mapping


def genotype_to_yaml(genotype: Genotype) -> str:
    """Return the text of a genotype file: name, origin, sizes and options unlike DARTS', and each cell node by node."""
    data: dict[str, Any] = {"name": genotype.name} if genotype.name else {}
    if origin := genotype.origin.to_dict():
        data["origin"] = origin
    data |= genotype.options()
    for cell in genotype.kinds:
        nodes: dict[Any, Any] = {node: _Row(map(list, edges)) for node, edges in genotype.nodes(cell)}
        data[cell] = nodes | {"concat": _Row(genotype.concat(cell))}
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


def genotype_from_yaml(text: str, where: str) -> Genotype:
    """Parse the text of a genotype file; ``where`` (its name) starts every error message.

    Raises :class:`InputError` for text that is not a YAML mapping, for unknown keys and for invalid cells.
    """
    data = parse_mapping(text, where)
    fixed = ["name", "origin", *GENOTYPE_OPTIONS]
    kinds: tuple[str, ...] = CELL_KINDS  # those of the default skeleton
    if "skeleton" in data:
        kinds = check_kinds([key for key in data if key not in fixed], where)
    check_keys(data, [*fixed, *kinds], where)
    for cell in kinds:
        if cell not in data:
            raise InputError(f"{where}: the {cell_title(cell)} is missing")
    origin = provenance_from_dict(data["origin"], where) if "origin" in data else Provenance()
    try:
        options = {key: data[key] for key in GENOTYPE_OPTIONS if key in data}
        inputs, edges_per_node = (options.get(size, DEFAULT_SIZE) for size in GENOTYPE_SIZES)
        check_size("inputs", inputs)
        check_size("edges_per_node", edges_per_node, (ALL_EDGES, ANY_EDGES))
        cells = {cell: _read_cell(data[cell], cell_title(cell), inputs, edges_per_node) for cell in kinds}
        return Genotype(cells=cells, **options, name=data.get("name", ""), origin=origin)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def save_genotype(genotype: Genotype, path: str | Path) -> None:
    """Write the genotype file ``path`` atomically; raise :class:`InputError` if it cannot be written."""
    write_file(Path(path), genotype_to_yaml(genotype).encode())


def _read_cell(data: object, where: str, inputs: int, edges_per_node: int | str) -> tuple[Any, Any]:
    """Return the edges of each node and concat of one cell; :class:`Genotype` checks their contents."""
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
    for node in expected:
        counted = edges_per_node != ANY_EDGES
        allowed = count_edges(node, edges_per_node)
        if not isinstance(nodes[node], list) or (counted and len(nodes[node]) != allowed):
            rule = f"expected a list of {f'{allowed} ' if counted else ''}[operator, source]"
            raise InputError(f"{where}, node {node}: {rule}, got {format_value(nodes[node])}")
    return [nodes[node] for node in expected], data["concat"]


class _Row(list[Any]):
    """A list that is written on one line, nested lists included."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_row(dumper: yaml.SafeDumper, row: _Row) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", row, flow_style=True)


_Dumper.add_representer(_Row, _represent_row)
