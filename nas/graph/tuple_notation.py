"""The notation of published repositories: ``Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), …)``.

It is Python, and is read here as a notation, never run: the text is parsed to a syntax tree, of which one call with
literal arguments is accepted.
"""

import ast
import warnings
from textwrap import dedent
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import CELL_KINDS, DEFAULT_SIZE, MAX_NODES, SIZES, by_node, check_size
from nas.graph.genotype import Genotype
from nas.storage.atomic_files import MAX_TEXT_BYTES
from nas.storage.yaml_file import check_keys

KEYWORDS = ("normal", "normal_concat", "reduce", "reduce_concat", *SIZES)
FORM = "Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))"


def parse_tuple_notation(text: str, where: str = "tuple notation") -> Genotype:
    """The genotype that ``text`` writes; ``NAME = Genotype(…)`` also names it (in lower case).

    A ``*_concat`` may be left out: all intermediate nodes. Raises :class:`InputError`, with ``where`` in front, for
    everything else than one such call with literal arguments.
    """
    name, call = _call(text, where)
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise InputError(f"{where}: every argument is given by its name: {FORM}")
    given: dict[str, Any] = dict.fromkeys(SIZES, DEFAULT_SIZE)
    given |= {str(keyword.arg): _literal(keyword.value, str(keyword.arg), where) for keyword in call.keywords}
    check_keys(given, KEYWORDS, where)
    for cell in CELL_KINDS:
        if cell not in given:
            raise InputError(f"{where}: {cell}=[…] is missing")
    try:
        for size in SIZES:
            check_size(size, given[size])
        for cell in CELL_KINDS:
            given.setdefault(f"{cell}_concat", _all_nodes(given, cell))
        return Genotype(**given, name=name.lower())
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def format_tuple_notation(genotype: Genotype) -> str:
    """The genotype on one line; :func:`parse_tuple_notation` reads it back (without name and origin)."""
    parts = [f"{cell}={list(genotype.edges(cell))}, {cell}_concat={list(genotype.concat(cell))}" for cell in CELL_KINDS]
    parts += [f"{size}={getattr(genotype, size)}" for size in SIZES if getattr(genotype, size) != DEFAULT_SIZE]
    return f"Genotype({', '.join(parts)})"


def _call(text: str, where: str) -> tuple[str, ast.Call]:
    """The assigned name (or "") and the ``Genotype(…)`` call."""
    if len(text) > MAX_TEXT_BYTES:
        raise InputError(f"{where}: is longer than {MAX_TEXT_BYTES:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the parser, about escapes in the text
            body = ast.parse(dedent(text).strip()).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        problem = getattr(error, "msg", None) or "it is nested too deeply or holds what Python does not read"
        raise InputError(f"{where}{line}: cannot be parsed ({problem}); the form is {FORM}") from error
    match body:
        case [ast.Expr(value=ast.Call(func=ast.Name(id="Genotype")) as call)]:
            return "", call
        case [ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="Genotype")) as call)]:
            return name, call
    raise InputError(f"{where}: one {FORM} is expected, got {format_value(text.strip())}")


def _literal(node: ast.expr, argument: str, where: str) -> object:
    """The value of a literal, or of ``range(a)`` and ``range(a, b)`` over at most MAX_NODES numbers."""
    try:
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[*bounds], keywords=[]) if 1 <= len(bounds) <= 2:
                numbers = range(*map(ast.literal_eval, bounds))
                return list(numbers[: MAX_NODES + 1])
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise InputError(f"{where}: {argument}: only literals and range(a, b) are read here") from error


def _all_nodes(given: dict[str, Any], cell: str) -> list[int]:
    edges = given[cell]
    if not isinstance(edges, list | tuple):
        return []  # Genotype says what is wrong with the edges
    return [node for node, _ in by_node(edges, given["inputs"], given["edges_per_node"], f"{cell} cell")]
