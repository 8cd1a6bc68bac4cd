"""Tuple notation of genotypes in published code: ``Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=…, …)``.

The notation is Python but never executed: only a syntax tree of a single call with literal arguments is accepted.
"""

import ast
import warnings
from textwrap import dedent
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
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
from nas.graph.genotype import GENOTYPE_OPTIONS, Genotype, nest_edges
from nas.storage.atomic_files import MAX_TEXT_BYTES
from nas.storage.yaml_file import check_keys

_FORM = "Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"


def parse_tuple_notation(text: str, where: str = "tuple notation") -> Genotype:
    """Parse a genotype in tuple notation; ``NAME = Genotype(…)`` also sets its name (in lower case).

    A missing ``*_concat`` means all intermediate nodes. Raises :class:`InputError`, starting with ``where``, for
    anything but one such call with literal arguments.
    """
    name, call = _call(text, where)
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
        options = {key: arguments[key] for key in GENOTYPE_OPTIONS if key in arguments}
        inputs, edges_per_node = (options.get(size, DEFAULT_SIZE) for size in GENOTYPE_SIZES)
        check_size("inputs", inputs)
        check_size("edges_per_node", edges_per_node, (ALL_EDGES, ANY_EDGES))
        cells = {kind: _read_cell(arguments, kind, inputs, edges_per_node) for kind in kinds}
        return Genotype(cells=cells, **options, name=name.lower())
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


def _read_cell(arguments: dict[str, Any], kind: str, inputs: int, edges_per_node: int | str) -> tuple[Any, Any]:
    """Return the edges of each node and concat of one cell, by default all nodes; :class:`Genotype` checks them."""
    edges = nest_edges(arguments[kind], inputs, edges_per_node, cell_title(kind))
    every = list(range(inputs, inputs + len(edges))) if isinstance(edges, list | tuple) else []
    return edges, arguments.get(f"{kind}_concat", every)


def _call(text: str, where: str) -> tuple[str, ast.Call]:
    """Return the assigned name (or "") and the ``Genotype(…)`` call."""
    if len(text) > MAX_TEXT_BYTES:
        raise InputError(f"{where}: is longer than {MAX_TEXT_BYTES:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser warns about invalid escapes
            body = ast.parse(dedent(text).strip()).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        problem = getattr(error, "msg", None) or "nested too deeply, or not Python"
        raise InputError(f"{where}{line}: cannot be parsed ({problem}); expected {_FORM}") from error
    match body:
        case [ast.Expr(value=ast.Call(func=ast.Name(id="Genotype")) as call)]:
            return "", call
        case [ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="Genotype")) as call)]:
            return name, call
    raise InputError(f"{where}: expected one {_FORM}, got {format_value(text.strip())}")


def _literal(node: ast.expr, argument: str, where: str) -> object:
    """Return the value of a literal, ``range(a)`` or ``range(a, b)``, cut off after MAX_NODES + 1 numbers."""
    try:
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[*bounds], keywords=[]) if 1 <= len(bounds) <= 2:
                numbers = range(*map(ast.literal_eval, bounds))
                return list(numbers[: MAX_NODES + 1])
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise InputError(f"{where}: {argument}: only literals and range(a, b) are allowed") from error
