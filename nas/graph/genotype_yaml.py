"""The genotype file: YAML that a person can read, and that reads back to the same genotype."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import CELL_KINDS, DEFAULT_SIZE, SIZES, check_size
from nas.graph.genotype import Genotype
from nas.graph.provenance import Provenance, provenance_from_dict
from nas.storage.atomic_files import write_file
from nas.storage.yaml_file import check_keys, parse_mapping


def genotype_to_yaml(genotype: Genotype) -> str:
    """The text of a genotype file: name, origin, sizes that are not 2, and each cell node by node."""
    data: dict[str, Any] = {"name": genotype.name} if genotype.name else {}
    if origin := genotype.origin.to_dict():
        data["origin"] = origin
    data |= {size: getattr(genotype, size) for size in SIZES if getattr(genotype, size) != DEFAULT_SIZE}
    for cell in CELL_KINDS:
        nodes: dict[Any, Any] = {node: _Row(map(list, edges)) for node, edges in genotype.nodes(cell)}
        data[cell] = nodes | {"concat": _Row(genotype.concat(cell))}
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


def genotype_from_yaml(text: str, where: str) -> Genotype:
    """Read a genotype file; ``where`` (the file's name) stands in front of every error.

    Raises :class:`InputError` for what is no YAML mapping, for unknown keys and for cells that cannot be built.
    """
    data = parse_mapping(text, where)
    check_keys(data, ["name", "origin", *SIZES, *CELL_KINDS], where)
    for cell in CELL_KINDS:
        if cell not in data:
            raise InputError(f"{where}: the {cell} cell is missing")
    origin = provenance_from_dict(data["origin"], where) if "origin" in data else Provenance()
    try:
        sizes = {size: data.get(size, DEFAULT_SIZE) for size in SIZES}
        for size, value in sizes.items():
            check_size(size, value)
        normal, normal_concat = _read_cell(data["normal"], "normal cell", **sizes)
        reduce, reduce_concat = _read_cell(data["reduce"], "reduce cell", **sizes)
        name = data.get("name", "")
        return Genotype(normal, normal_concat, reduce, reduce_concat, **sizes, name=name, origin=origin)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def save_genotype(genotype: Genotype, path: str | Path) -> None:
    """Write the genotype file ``path`` whole or not at all; raises :class:`InputError` where it cannot be written."""
    write_file(Path(path), genotype_to_yaml(genotype).encode())


def _read_cell(data: object, where: str, inputs: int, edges_per_node: int) -> tuple[Any, Any]:
    """The flat edge list and concat of one cell; their contents are checked by :class:`Genotype`."""
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: a mapping of nodes is expected, got {format_value(data)}")
    if "concat" not in data:
        raise InputError(f"{where}: concat is missing")
    nodes = {node: edges for node, edges in data.items() if node != "concat"}
    expected = range(inputs, inputs + len(nodes))
    if set(nodes) != set(expected):
        raise InputError(
            f"{where}: nodes {format_value(list(nodes))}: {inputs}, {inputs + 1}, … without a gap are expected"
        )
    flat: list[Any] = []
    for node in expected:
        allowed = min(edges_per_node, node)
        if not isinstance(nodes[node], list) or len(nodes[node]) != allowed:
            rule = f"a list of {allowed} [operator, source] is expected"
            raise InputError(f"{where}, node {node}: {rule}, got {format_value(nodes[node])}")
        flat += nodes[node]
    return flat, data["concat"]


class _Row(list[Any]):
    """A list written on one line, with the lists in it."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_row(dumper: yaml.SafeDumper, row: _Row) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", row, flow_style=True)


_Dumper.add_representer(_Row, _represent_row)
