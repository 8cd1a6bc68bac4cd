"""``nas ops``: the operators."""

import inspect
from collections.abc import Sequence
from typing import Any

from nas.cli.command_parser import CommandParser, load_operators
from nas.cli.program import program_name
from nas.cli.tables import count_words, source_of, summary_of, text_table
from nas.core.terminal import print_lines

_CHANNELS, _SIDE = 16, 32


def main(arguments: Sequence[str]) -> None:
    """Print the table of operators, or all about one of them."""
    parser = CommandParser("ops")
    parser.add_argument("name", nargs="?", help="an operator, such as sep_conv_3x3 or sandglass_3x3_t4")
    parser.add_operators()
    given = parser.parse_args(arguments)
    from nas.ops.registry import list_operators, operators

    load_operators(given.ops)
    if given.name is not None:
        print_lines(*_describe(operators[given.name]))
        return
    rows = [_row(operators[name]) for name in list_operators()]
    print_lines(*text_table([["operator", "params", "MACs", "paper", "what it is"], *rows], numbers=(1, 2)))
    print_lines("", f"of {_CHANNELS} channels at {_SIDE}x{_SIDE}, stride 1, as retrained", "")
    print_lines("with options of your choice:", *operators.forms, "")
    print_lines(f"one of them: {program_name('ops')} sandglass_3x3_t4_share1of2")


def _row(operator: Any) -> list[str]:
    cost, factory = _cost(operator, 1), _function(operator)
    sizes = [count_words(cost.params), count_words(cost.macs)]
    return [operator.name, *sizes, source_of(factory).removeprefix("arXiv "), summary_of(factory)]


def _describe(operator: Any) -> list[str]:
    """Return the lines on one operator: what it computes, its sizes, the spaces that have it."""
    from nas.graph.space_file import list_spaces

    factory = _function(operator)
    text = (inspect.getdoc(factory) or "").removeprefix("Return ").split("\n")
    lines = [f"{operator.name}: {text[0]}", *text[1:]]
    if source := source_of(factory):
        lines.append(f"paper: {source}")
    for stride in (1, 2):
        cost = _cost(operator, stride)
        size = f"{cost.params:,} parameters, {cost.macs:,} multiply-adds"
        lines.append(f"stride {stride}, {_CHANNELS} channels at {_SIDE}x{_SIDE}, as retrained: {size}")
    spaces = [space.name for space in list_spaces() if operator.name in space.operators]
    return [*lines, f"in the spaces: {', '.join(spaces) or 'none that is included'}"]


def _function(operator: Any) -> Any:
    """Return the factory as written, without the options of a family's name."""
    return getattr(operator.factory, "func", operator.factory)


def _cost(operator: Any, stride: int) -> Any:
    from nas.costs.count import cost

    return cost(operator.build(_CHANNELS, stride, affine=True), (_CHANNELS, _SIDE, _SIDE))
