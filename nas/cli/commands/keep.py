"""``nas keep``: a cell under a new name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nas.cli.command_parser import CELL_HELP, CommandParser, load_operators
from nas.cli.commands.draw import draw_and_print
from nas.core.errors import InputError
from nas.core.terminal import print_lines
from nas.graph.genotype_yaml import save_genotype
from nas.graph.zoo import load_genotype


def main(arguments: Sequence[str]) -> None:
    """Save a genotype under the name of its new file, with the given origin where there is one, and draw it."""
    parser = CommandParser("keep")
    parser.add_argument("cell", help=CELL_HELP)
    parser.add_argument("output", type=Path, help="name.yaml; name.svg is written beside it")
    parser.add_argument("--dataset", help="the images it was searched on, as text")
    parser.add_argument("--source", help="how it was searched, or where it was published")
    parser.add_operators(", for their colors")
    given = parser.parse_args(arguments)
    output = given.output
    if output.suffix != ".yaml":
        raise InputError(f"{output}: must end with .yaml")
    load_operators(given.ops)
    genotype = load_genotype(given.cell)
    told = {key: getattr(given, key) for key in ("dataset", "source") if getattr(given, key) is not None}
    kept = replace(genotype, name=output.stem, origin=replace(genotype.origin, **told))
    save_genotype(kept, output)
    print_lines(output)
    draw_and_print(load_genotype(output), output.with_suffix(".svg"))
