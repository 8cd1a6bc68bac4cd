"""Cells of NNI (microsoft/nni) as JSON, in the forms of its first and of its present NAS, and of mmrazor as YAML.

First: ``{"normal_n2_p0": "sepconv3x3", …, "normal_n2_switch": ["normal_n2_p0", "normal_n2_p1"], …}``; p is the source,
the switch lists the edges that a node keeps. Present: ``{"normal/op_2_0": "sep_conv_3x3", "normal/input_2_0": 0, …}``.
mmrazor: ``normal_n2: {chosen: [normal_n2_p0, …]}`` and ``normal_n2_p0: {chosen: [sep_conv_3x3]}``.
"""

import re
from collections.abc import Mapping
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.json_text import format_json
from nas.graph.cell import CELL_KINDS, MAX_NODES, Edge
from nas.graph.edge_lists import Nodes, make_genotype
from nas.graph.genotype import Genotype
from nas.storage.json_file import parse_json

_OPERATORS = {  # in the order of NNI's layer choice, which some files refer to by number
    "maxpool": "max_pool_3x3",
    "avgpool": "avg_pool_3x3",
    "skipconnect": "skip_connect",
    "sepconv3x3": "sep_conv_3x3",
    "sepconv5x5": "sep_conv_5x5",
    "dilconv3x3": "dil_conv_3x3",
    "dilconv5x5": "dil_conv_5x5",
    "none": "none",
}
_PLACE = re.compile(r"(normal|reduce)_n(\d{1,2})_p(\d{1,2})", re.ASCII)
_NODE = re.compile(r"(normal|reduce)_n(\d{1,2})(?:_switch)?", re.ASCII)
_CHOICE = re.compile(r"(normal|reduce)/(op|input)_(\d{1,2})_(\d{1,2})", re.ASCII)
_FORM = 'of NNI: "normal_n2_p0" and "normal_n2_switch", or "normal/op_2_0" and "normal/input_2_0", of all nodes'


def parse_nni(text: str, where: str = "NNI") -> Genotype:
    """Parse a cell of NNI; raise :class:`InputError`, starting with ``where``, for any other JSON."""
    data = parse_json(text, where)
    if not isinstance(data, dict):
        raise InputError(f"{where}: not a cell {_FORM}")
    if any(_CHOICE.fullmatch(key) for key in data):
        return _checked(_from_choices(data, where), where)
    places = {key: value for key, value in data.items() if _PLACE.fullmatch(key)}
    switches = {key.removesuffix("_switch"): value for key, value in data.items() if key.endswith("_switch")}
    return _checked(_from_places(places, switches, where), where)


def parse_mmrazor(data: Mapping[Any, Any], where: str) -> Genotype:
    """Return the cell in mmrazor's ``data``, read from YAML; raise :class:`InputError` for anything else."""
    chosen = {}
    for key, value in data.items():
        inner = value.get("chosen") if isinstance(value, Mapping) else None
        if not isinstance(key, str) or not isinstance(inner, list):
            raise InputError(f"{where}: {format_value(key)}: expected a key such as normal_n2_p0 with a list 'chosen'")
        chosen[key] = inner
    places = {key: value for key, value in chosen.items() if _PLACE.fullmatch(key)}
    switches = {key: value for key, value in chosen.items() if not _PLACE.fullmatch(key)}
    return _checked(_from_places(places, switches, where), where)


def is_mmrazor(data: Mapping[Any, Any]) -> bool:
    """Return whether ``data``, read from YAML, is a cell of mmrazor."""
    return any(isinstance(key, str) and _NODE.fullmatch(key) for key in data)


def format_nni(genotype: Genotype) -> str:
    """Return the genotype as JSON in NNI's present form.

    Raises :class:`InputError` unless all nodes have two edges and are concatenated: NNI's networks have no others.
    """
    choices: dict[str, object] = {}
    for kind in genotype.kinds:
        nodes = genotype.nodes(kind)
        two = all(len(edges) == 2 for _, edges in nodes) and genotype.inputs == 2
        if kind not in CELL_KINDS or not two or genotype.concat(kind) != tuple(number for number, _ in nodes):
            raise InputError(
                "notation=nni: holds normal and reduce cells whose nodes have two edges and are all output"
            )
        for number, edges in nodes:
            for index, (operator, source) in enumerate(edges):
                choices |= {f"{kind}/op_{number}_{index}": operator, f"{kind}/input_{number}_{index}": source}
    return format_json(choices, indent=1)


def _from_choices(data: Mapping[str, Any], where: str) -> dict[str, dict[int, list[Edge]]]:
    found: dict[str, dict[int, list[Edge]]] = {}
    for key in sorted(data):
        match = _CHOICE.fullmatch(key)
        if match is None or match[2] != "op":
            continue  # width, depth and the inputs
        kind, node = match[1], int(match[3])
        source = data.get(f"{kind}/input_{match[3]}_{match[4]}")
        source = source[0] if isinstance(source, list) and len(source) == 1 else source
        if isinstance(source, bool) or not isinstance(source, int):
            raise InputError(f"{where}: {kind}/input_{match[3]}_{match[4]}={format_value(source)}: must be one source")
        found.setdefault(kind, {}).setdefault(node, []).append((_operator(data[key], key, where), source))
    return found


def _from_places(
    places: Mapping[str, Any], switches: Mapping[str, Any], where: str
) -> dict[str, dict[int, list[Edge]]]:
    """Return the edges by kind and node; the switch of a node lists those that it keeps, in order."""
    found: dict[str, dict[int, list[Edge]]] = {}
    for key, value in places.items():
        match = _PLACE.fullmatch(key)
        assert match is not None
        kind, node, source = match[1], int(match[2]), int(match[3])
        own = found.setdefault(kind, {}).setdefault(node, [])
        kept = switches.get(f"{kind}_n{node}")
        if (kept is None or key in kept) and value not in ([], None):
            own.append((_operator(value, key, where), source))
    for key, kept in switches.items():
        unknown = [name for name in kept if name not in places] if isinstance(kept, list) else [kept]
        if unknown:
            raise InputError(f"{where}: {key}: {format_value(unknown[0])} has no operator")
    return found


def _operator(value: Any, key: str, where: str) -> str:
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_OPERATORS):
        return list(_OPERATORS.values())[value]
    if not isinstance(value, str):
        raise InputError(f"{where}: {key}={format_value(value)}: must be one operator")
    return _OPERATORS.get(value, value)


def _checked(found: Mapping[str, Mapping[int, list[Edge]]], where: str) -> Genotype:
    if set(found) != set(CELL_KINDS):
        raise InputError(f"{where}: not a cell {_FORM}")
    cells: dict[str, tuple[Nodes, None]] = {}
    for kind in CELL_KINDS:
        numbers = sorted(found[kind])
        if numbers != list(range(2, 2 + len(numbers))) or len(numbers) >= MAX_NODES:
            raise InputError(f"{where}: nodes {format_value(numbers)} of the {kind} cell: must be 2, 3, …")
        kept = [[edge for edge in found[kind][number] if edge[0] != "none"] for number in numbers]
        cells[kind] = kept, None
    try:
        return make_genotype(cells, where)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
