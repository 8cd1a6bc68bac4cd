"""Search spaces as YAML files.

A space is a YAML file in ``search_spaces/``; ``"darts+sandglass"`` composes two of them, as the paper adds its block to
the DARTS space ("Rethinking Bottleneck Structure for Efficient Mobile Network Design", arXiv 2007.02269, section
4.4).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.paths import shipped_folder
from nas.core.registry import nearest
from nas.graph.space import Space
from nas.graph.space_fields import TOPOLOGY_DEFAULTS, check_operator_list, check_topology_field
from nas.storage.yaml_file import check_keys, read_mapping

_SUFFIXES = (".yaml", ".yml")
_MAX_PIECES = 8  # of a path that holds a +


class SpaceFile(NamedTuple):
    """The contents of one YAML file; ``topology`` holds only the fields that the file specifies."""

    name: str
    description: str
    operators: tuple[str, ...]
    topology: Mapping[str, Any]
    where: str


def read_space(spec: str) -> Space:
    """Read the space ``spec``: names of spaces or paths of YAML files, composed with ``+``.

    Operators are united in order. Files must agree on a topology field that they specify; a field that none specifies
    has the default of :class:`nas.graph.space.Space`. Operators are not looked up in the operator registry. Raises
    :class:`InputError`.
    """
    if not isinstance(spec, str) or not spec.strip():
        raise InputError(f"space={format_value(spec)}: is empty; allowed: {_allowed()}")
    parts = _split(spec)
    if not all(parts):
        raise InputError(f"space={format_value(spec)}: a name is missing next to +; allowed: {_allowed()}")
    files = [_read_file(_locate(part)) for part in parts]
    for file in files:
        if len(files) > 1 and file.topology.get("edge_operators") is not None:
            raise InputError(f"space={spec}: {file.where} lists operators for each edge, so it cannot be composed")
    operators = tuple(dict.fromkeys(operator for file in files for operator in file.operators))
    return Space("+".join(dict.fromkeys(file.name for file in files)), operators, **_merge_topology(files))


def list_spaces() -> list[SpaceFile]:
    """Return the shipped spaces, ordered by name."""
    return [_read_file(path) for path in _shipped().values()]


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(shipped_folder("search_spaces").glob("*.yaml"))}


def _split(spec: str) -> list[str]:
    """Return the parts between ``+``; the path of an existing file may hold a ``+``."""
    pieces, parts = spec.split("+"), list[str]()
    while pieces:
        tries = range(min(len(pieces), _MAX_PIECES), 1, -1)
        length = next((n for n in tries if _is_file("+".join(pieces[:n]).strip())), 1)
        parts.append("+".join(pieces[:length]).strip())
        del pieces[:length]
    return parts


def _is_file(path: str) -> bool:
    try:
        return path.endswith(_SUFFIXES) and Path(path).is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _allowed() -> str:
    return f"{', '.join(_shipped())} or the path of a YAML file, composed with +"


def _locate(part: str) -> Path:
    if part.endswith(_SUFFIXES) or "/" in part or "\\" in part:
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
    check_keys(topology, TOPOLOGY_DEFAULTS, f"{where}: topology")
    for field, value in topology.items():
        check_topology_field(field, value, where)
    name = re.sub(r"[^\w.-]", "_", path.stem)
    return SpaceFile(name, description, check_operator_list(data["operators"], where), topology, where)


def _merge_topology(files: list[SpaceFile]) -> dict[str, Any]:
    """Merge the specified fields; raise :class:`InputError` if two files disagree."""
    merged: dict[str, tuple[Any, str]] = {}
    for file in files:
        for size, value in file.topology.items():
            first, where = merged.setdefault(size, (value, file.where))
            if value != first:
                values = f"{format_value(first)} in {where}, {format_value(value)} in {file.where}"
                raise InputError(f"spaces disagree on {size}: {values}")
    return {size: value for size, (value, _) in merged.items()}
