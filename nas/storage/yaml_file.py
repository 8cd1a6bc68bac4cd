"""Bounded reading of untrusted YAML mappings: plain data only, every error is one line that names the file."""

import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import nearest
from nas.storage.atomic_files import MAX_TEXT_BYTES, read_text

MAX_DEPTH = 16
MAX_YAML_NODES = 20_000  # words, lists and mappings; PyYAML takes half a second for them
MAX_DIGITS = 64
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_AMBIGUOUS = re.compile(r"[-+]?0[0-7_]+|.*:.*")  # 010 is 8, 1:30 is 90
_PLAIN = ("null", "bool", "int", "float")  # what an unquoted word may mean, apart from itself; dates stay strings


def read_mapping(path: Path) -> dict[Any, Any]:
    """Return the mapping in the YAML file ``path``; raises :class:`InputError` as :func:`parse_mapping` does."""
    return parse_mapping(read_text(path), format_value(path))


def parse_mapping(text: str, where: str) -> dict[Any, Any]:
    """Return the mapping in ``text`` as ``yaml.safe_load`` reads it, except that dates stay strings.

    Raises :class:`InputError`, beginning with ``where``, for text that is not a YAML mapping, is larger than 1 MB,
    nested deeper than 16 levels or longer than 20,000 words, and for aliases, tags, endless numbers and duplicate keys.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise InputError(f"{where}: is larger than {MAX_TEXT_BYTES:,} characters")
    try:
        data = yaml.load(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{where}{line}: {', '.join(filter(None, [error.context, error.problem]))}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: is not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(data, dict):
        raise InputError(f"{where}: a YAML mapping (key: value) is expected, got {type(data).__name__}")
    return data


def check_keys(mapping: Mapping[Any, object], allowed: Iterable[str], where: str) -> None:
    """Raise :class:`InputError` with the nearest allowed keys if ``mapping`` has another one."""
    known = list(allowed)
    for key in mapping:
        if key not in known:
            raise InputError(f"{where}: unknown key {format_value(key)}: {nearest(format_value(key), known)}")


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader that refuses what makes a small file large or ambiguous."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("aliases (*name) are not allowed", event)
        if event.tag:
            raise _refusal("tags (!name) are not allowed", event)
        if self.depth >= MAX_DEPTH:
            raise _refusal(f"nested deeper than {MAX_DEPTH} levels", event)
        if self.nodes >= MAX_YAML_NODES:
            raise _refusal(f"more than {MAX_YAML_NODES:,} words", event)
        self.nodes += 1
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            raise _refusal(f"a number of more than {MAX_DIGITS} characters", node)  # 1:59:59:… takes minutes
        if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and _AMBIGUOUS.fullmatch(node.value):
            problem = "means another number in YAML 1.1 (base 8 or 60); write it in decimal or in quotes"
            raise _refusal(f"{node.value} {problem}", node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, bool) or not isinstance(key, str | int):
                raise _refusal(f"{format_value(key)} cannot be a key", key_node)
            if key in seen:
                raise _refusal(f"duplicate key {format_value(key)}", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in _PLAIN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _refusal(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)
