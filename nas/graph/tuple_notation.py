"""Tuple notation of genotypes in published code: ``Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=…, …)``.

The notation is Python but never executed: only a syntax tree of a single call with literal arguments is accepted.
"""

import ast
import re
import warnings
from textwrap import dedent
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import nearest
from nas.graph.cell import (
    ALL_EDGES,
    ANY_EDGES,
    CELL_KINDS,
    DEFAULT_SIZE,
    GENOTYPE_SIZES,
    MAX_NODES,
    cell_title,
    check_kinds,
    check_size,
)
from nas.graph.edge_lists import make_genotype, read_edge_list
from nas.graph.genotype import GENOTYPE_OPTIONS, Genotype, nest_edges
from nas.storage.atomic_files import MAX_TEXT_BYTES
from nas.storage.yaml_file import check_keys

_FORM = "Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"

_UNPARSABLE = (SyntaxError, ValueError, MemoryError, RecursionError)
_MAX_TRIES = 100  # calls at a log's end that are tried


def parse_tuple_notation(text: str, where: str = "tuple notation", name: str = "") -> Genotype:
    """Parse a genotype in tuple notation; ``NAME = Genotype(…)`` also sets its name (in lower case).

    Other statements of a Python file do not count. Of several genotypes, ``name`` says which one; of a log, which is
    not Python, it is the last one. A missing ``*_concat`` means all intermediate nodes. For the forms of edges see
    :func:`nas.graph.edge_lists.read_edge_list`. Raises :class:`InputError`, starting with ``where``, for anything but
    literal arguments.
    """
    found, call = _call(text, where, name)
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise InputError(f"{where}: positional arguments; expected keywords: {_FORM}")
    arguments: dict[str, Any] = {
        str(keyword.arg): _literal(keyword.value, str(keyword.arg), where) for keyword in call.keywords
    }
    kinds = check_kinds(_kinds(arguments), where)
    check_keys(arguments, [*(key for kind in kinds for key in (kind, f"{kind}_concat")), *GENOTYPE_OPTIONS], where)
    for kind in kinds:
        if kind not in arguments:
            raise InputError(f"{where}: {kind}=[…] is missing")
    try:
        return _genotype(arguments, kinds, found.lower(), where)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def format_tuple_notation(genotype: Genotype) -> str:
    """Return the genotype on one line, without name and origin; the inverse of :func:`parse_tuple_notation`."""
    return repr(genotype)


def _kinds(arguments: dict[str, Any]) -> list[str]:
    """Return the kinds of cell: those of DARTS, or with another skeleton those that are given."""
    if "skeleton" not in arguments:
        return list(CELL_KINDS)
    names = [name for name in arguments if name not in GENOTYPE_OPTIONS]
    return [name for name in names if not name.endswith("_concat")]


def _genotype(arguments: dict[str, Any], kinds: tuple[str, ...], name: str, where: str) -> Genotype:
    options = {key: arguments[key] for key in GENOTYPE_OPTIONS if key in arguments}
    inputs, edges_per_node = (options.get(size, DEFAULT_SIZE) for size in GENOTYPE_SIZES)
    check_size("inputs", inputs)
    check_size("edges_per_node", edges_per_node, (ALL_EDGES, ANY_EDGES))
    if "edges_per_node" in options:
        cells = {kind: _read_cell(arguments, kind, inputs, edges_per_node) for kind in kinds}
        return Genotype(cells=cells, **options, name=name)
    lists = {
        kind: (read_edge_list(arguments[kind], cell_title(kind), inputs), _concat(arguments, kind)) for kind in kinds
    }
    others = {key: value for key, value in options.items() if key != "inputs"}
    return make_genotype(lists, where, inputs, name, **others)


def _concat(arguments: dict[str, Any], kind: str) -> Any:
    concat = arguments.get(f"{kind}_concat")
    if concat is not None and not (isinstance(concat, list | tuple) and all(isinstance(n, int) for n in concat)):
        raise InputError(f"{cell_title(kind)}: concat {format_value(concat)}: expected a list of node numbers")
    return concat


def _read_cell(arguments: dict[str, Any], kind: str, inputs: int, edges_per_node: int | str) -> tuple[Any, Any]:
    """Return the edges of each node and concat of one cell, by default all nodes; :class:`Genotype` checks them."""
    edges = nest_edges(arguments[kind], inputs, edges_per_node, cell_title(kind))
    every = list(range(inputs, inputs + len(edges))) if isinstance(edges, list | tuple) else []
    return edges, arguments.get(f"{kind}_concat", every)


def _call(text: str, where: str, wanted: str) -> tuple[str, ast.Call]:
    """Return the assigned name (or "") and the ``Genotype(…)`` call, of several the one called ``wanted``."""
    if len(text) > MAX_TEXT_BYTES:
        raise InputError(f"{where}: is longer than {MAX_TEXT_BYTES:,} characters")
    try:
        body = _statements(text)
    except _UNPARSABLE as error:
        logged = _last_in_log(text)
        if logged is None:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            problem = getattr(error, "msg", None) or "nested too deeply, or not Python"
            raise InputError(f"{where}{line}: cannot be parsed ({problem}); expected {_FORM}") from error
        body = logged
    calls: dict[str, ast.Call] = {}
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Call(func=ast.Name(id="Genotype")) as call):
                calls[""] = call
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="Genotype")) as call):
                calls[name] = call
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=other)) if other in calls:
                calls[name] = calls[other]
    return _chosen(calls, text, where, wanted)


def _chosen(calls: dict[str, ast.Call], text: str, where: str, wanted: str) -> tuple[str, ast.Call]:
    if wanted:
        if wanted not in calls:
            raise InputError(f"{where}: has no genotype {format_value(wanted)}: {nearest(wanted, filter(None, calls))}")
        return wanted, calls[wanted]
    if len(set(calls.values())) > 1:
        names = ", ".join(filter(None, calls))
        raise InputError(f"{where}: has several genotypes: {names}; add the name of one, as in FILE.py:{max(calls)}")
    if not calls:
        raise InputError(f"{where}: expected one {_FORM}, got {format_value(text.strip())}")
    return next(iter(calls.items()))


def _statements(text: str) -> list[ast.stmt]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parser warns about invalid escapes
        return ast.parse(dedent(text).strip()).body


def _last_in_log(text: str) -> list[ast.stmt] | None:
    """Return the last whole ``Genotype(…)`` in a text that is not Python; None without one."""
    starts = [match.start() for match in re.finditer(r"\bGenotype\(", text)][-_MAX_TRIES:]
    for start in reversed(starts):
        depth = 0
        for end, letter in enumerate(text[start:], start=start + 1):
            depth += (letter == "(") - (letter == ")")
            if depth == 0 and letter == ")":
                try:
                    return _statements(text[start:end])
                except _UNPARSABLE:
                    break
    return None


def _literal(node: ast.expr, argument: str, where: str) -> object:
    """Return the value of a literal, of ``range(…)``, cut off after MAX_NODES + 1 numbers, and of wrapped ones.

    Wrapped are ``list(…)`` and ``tuple(…)`` of these, and ``np.int64(…)``, as NumPy 2 prints its numbers.
    """
    try:
        return _value(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise InputError(f"{where}: {argument}: only literals and range(a, b) are allowed") from error


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[*bounds], keywords=[]) if 1 <= len(bounds) <= 3:
            return list(range(*map(_value, bounds))[: MAX_NODES + 1])
        case ast.Call(func=ast.Name(id="list" | "tuple"), args=[inner], keywords=[]):
            return list(_value(inner))
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=kind), args=[inner], keywords=[]):
            if not re.fullmatch(r"u?int(8|16|32|64)|float(16|32|64)|str_", kind):
                raise ValueError(kind)
            return _value(inner)
        case ast.List(elts=parts):
            return [_value(part) for part in parts]
        case ast.Tuple(elts=parts):
            return tuple(_value(part) for part in parts)
    return ast.literal_eval(node)
