"""``nas cells``: the cells that are included."""

from collections.abc import Sequence

from nas.cli.command_parser import CommandParser, load_operators
from nas.cli.commands.show import show_genotype
from nas.cli.program import program_name
from nas.cli.tables import text_table
from nas.core.terminal import print_lines
from nas.graph.genotype import Genotype
from nas.graph.zoo import list_cells, load_genotype


def main(arguments: Sequence[str]) -> None:
    """Print the table of cells, or all about one of them."""
    parser = CommandParser("cells")
    parser.add_argument("name", nargs="?", help="a cell, such as darts_v2")
    parser.add_operators()
    given = parser.parse_args(arguments)
    if given.name is not None:
        load_operators(given.ops)
        genotype = load_genotype(given.name)
        print_lines(*_origin(genotype))
        show_genotype(genotype, given.ops)
        return
    rows = [_row(load_genotype(name)) for name in list_cells()]
    print_lines(*text_table([["cell", "params", "MACs", "error", "source"], *rows], numbers=(1, 2, 3)))
    print_lines(
        "",
        "params and MACs: of the network that is retrained, 20 cells with 36 channels, at 32x32;",
        "error: as published for CIFAR-10, not measured here",
        f"one of them: {program_name('cells')} darts_v2; its picture: {program_name('draw')} darts_v2",
    )


def _row(genotype: Genotype) -> list[str]:
    from nas.core.formatting import format_count
    from nas.costs.count import network_cost

    size = network_cost(genotype, 10, (3, 32, 32))
    published = [result for result in genotype.origin.published if result.dataset == "cifar10"]
    error = next((f"{result.test_err:.2f} %" for result in published if result.test_err is not None), "–")
    return [genotype.name, format_count(size.params), format_count(size.macs), error, genotype.origin.source]


def _origin(genotype: Genotype) -> list[str]:
    """Return the lines on where a cell comes from, and its published results."""
    origin = genotype.origin.to_dict()
    results = origin.pop("published", [])
    lines = [genotype.name, *(f"  {key}: {value}" for key, value in origin.items())]
    told = [", ".join(f"{key} {value}" for key, value in result.items()) for result in results]
    return [*lines, *(f"  published: {text}" for text in told)]
