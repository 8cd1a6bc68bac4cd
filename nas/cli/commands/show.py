"""``nas show``: the edges, notation and cost of a cell."""

import sys
from collections.abc import Sequence
from contextlib import suppress

from nas.cli.command_parser import CELL_HELP, CommandParser, load_operators
from nas.cli.program import program_name
from nas.core.errors import InputError
from nas.core.terminal import print_lines
from nas.graph.arch_string import format_arch_string
from nas.graph.cell import cell_title
from nas.graph.genotype import Genotype
from nas.graph.notations import WRITERS, format_genotype
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import list_cells, load_genotype


def main(arguments: Sequence[str]) -> None:
    """Print a genotype's edges, its tuple notation and the cost of the network that DARTS would retrain."""
    parser = CommandParser("show")
    parser.add_argument("cell", help=CELL_HELP, nargs="?")
    parser.add_argument("--as", choices=WRITERS, dest="notation", help="print the cell alone, in this notation")
    parser.add_operators()
    given = parser.parse_args(arguments)
    if given.cell is None:
        print_lines(*list_cells())
        print_lines(f"a list of the cells is now: {program_name('cells')}", file=sys.stderr)
        return
    genotype = load_genotype(given.cell)
    if given.notation is not None:
        print_lines(*format_genotype(genotype, given.notation).splitlines())
        return
    show_genotype(genotype, given.ops)


def show_genotype(genotype: Genotype, ops: str | None) -> None:
    """Print a genotype as edges and notation, and its cost, with the operators of the user's file ``ops``."""
    for kind in genotype.kinds:
        print_lines(f"{cell_title(kind)}, output: nodes {', '.join(map(str, genotype.concat(kind)))}")
        for node, edges in genotype.nodes(kind):
            print_lines(f"  {node} = " + (" + ".join(f"{operator}({source})" for operator, source in edges) or "0"))
    print_lines(format_tuple_notation(genotype))
    with suppress(InputError):
        print_lines(format_arch_string(genotype))
    _print_cost(genotype, ops)


def _print_cost(genotype: Genotype, ops: str | None) -> None:
    from nas.costs.count import describe_network, network_cost

    load_operators(ops)
    try:
        cost = network_cost(genotype, 10, (3, 32, 32))
    except InputError as error:
        if ops is None and str(error).startswith("unknown operator"):
            raise InputError(f"{error}; operators of your own: --ops FILE") from error
        raise
    size = f"{cost.params:,} parameters (+ {cost.auxiliary_params:,} in the auxiliary head)"
    print_lines(f"CIFAR-10 {describe_network(genotype)}: {size}, {cost.macs:,} multiply-adds")
