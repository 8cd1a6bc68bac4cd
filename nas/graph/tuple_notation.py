"""Tuple notation of genotypes in published code: ``Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=…, …)``.

The notation is Python but never executed: only a syntax tree of a single call with literal arguments is accepted.
"""

import ast
import warnings
from textwrap import dedent
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import CELL_KINDS, DEFAULT_SIZE, GENOTYPE_SIZES, MAX_NODES, check_size, edges_by_node
from nas.graph.genotype import Genotype
from nas.storage.atomic_files import MAX_TEXT_BYTES
from nas.storage.yaml_file import check_keys

_KEYWORDS = ("normal", "normal_concat", "reduce", "reduce_concat", *GENOTYPE_SIZES)
_FORM = "Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"


def parse_tuple_notation(text: str, where: str = "tuple notation") -> Genotype:
    """Parse a genotype in tuple notation; ``NAME = Genotype(…)`` also sets its name (in lower case).

    A missing ``*_concat`` means all intermediate nodes. Raises :class:`InputError`, starting with ``where``, for
    anything but one such call with literal arguments.
    """
    name, call = _call(text, where)
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise InputError(f"{where}: positional arguments; expected keywords: {_FORM}")
    arguments: dict[str, Any] = dict.fromkeys(GENOTYPE_SIZES, DEFAULT_SIZE)
    arguments |= {str(keyword.arg): _literal(keyword.value, str(keyword.arg), where) for keyword in call.keywords}
    check_keys(arguments, _KEYWORDS, where)
    for cell in CELL_KINDS:
        if cell not in arguments:
            raise InputError(f"{where}: {cell}=[…] is missing")
    try:
        for size in GENOTYPE_SIZES:
            check_size(size, arguments[size])
        for cell in CELL_KINDS:
            arguments.setdefault(f"{cell}_concat", _all_nodes(arguments, cell))
        return Genotype(**arguments, name=name.lower())
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def format_tuple_notation(genotype: Genotype) -> str:
    """Return the genotype on one line, without name and origin; the inverse of :func:`parse_tuple_notation`."""
    parts = [f"{cell}={list(genotype.edges(cell))}, {cell}_concat={list(genotype.concat(cell))}" for cell in CELL_KINDS]
    parts += [f"{size}={getattr(genotype, size)}" for size in GENOTYPE_SIZES if getattr(genotype, size) != DEFAULT_SIZE]
    return f"Genotype({', '.join(parts)})"


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


def _all_nodes(arguments: dict[str, Any], cell: str) -> list[int]:
    edges = arguments[cell]
    if not isinstance(edges, list | tuple):
        return []  # Genotype reports the error
    return [node for node, _ in edges_by_node(edges, arguments["inputs"], arguments["edges_per_node"], f"{cell} cell")]
