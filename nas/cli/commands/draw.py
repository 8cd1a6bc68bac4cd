"""``nas draw``: a picture of a cell."""

import re
from collections.abc import Sequence
from pathlib import Path

from nas.cli.command_parser import CELL_HELP, CommandParser, load_operators
from nas.core.terminal import print_lines
from nas.graph.genotype import Genotype
from nas.graph.zoo import load_genotype
from nas.plots.cell import draw_cells
from nas.plots.drawing_style import DrawingStyle
from nas.plots.edge_width import EdgeWidths, edge_widths


def main(arguments: Sequence[str]) -> None:
    """Draw all kinds of cell of a genotype into one file."""
    parser = CommandParser("draw")
    parser.add_argument("cell", help=CELL_HELP)
    parser.add_output("file.svg, .png or .pdf (default: <name>.svg)")
    parser.add_operators(", for their colors")
    parser.add_argument("--layout", default="lr", metavar="lr|tb", help="from left to right, or from top to bottom")
    parser.add_argument("--transparent", action="store_true", help="no white background")
    parser.add_argument("--strengths", type=Path, metavar="RUN", help="edges as wide as strong at a search's end")
    given = parser.parse_args(arguments)
    load_operators(given.ops)
    genotype = load_genotype(given.cell)
    widths = {} if given.strengths is None else _widths(genotype, given.strengths)
    output = Path(f"{_file_name(genotype)}.svg") if given.output is None else given.output
    draw_and_print(genotype, output, DrawingStyle(given.layout, given.transparent, widths))


def draw_and_print(genotype: Genotype, output: Path, style: DrawingStyle | None = None) -> None:
    """Draw a genotype to ``output``; print the names of the files, and what is missing for a better drawing."""
    drawn = draw_cells(genotype, output, style or DrawingStyle())
    print_lines(" ".join(map(str, drawn.paths)))
    if drawn.note:
        print_lines(drawn.note)


def _widths(genotype: Genotype, run: Path) -> EdgeWidths:
    """Return the widths of the edges by the strengths at the end of the search in the folder ``run``."""
    from nas.reports.alpha_evolution import read_alpha_evolution

    evolution = read_alpha_evolution(run)
    return edge_widths(genotype, {kind: values.tolist() for kind, values in evolution.last.items()}, evolution.space)


def _file_name(genotype: Genotype) -> str:
    """Return the cell's name without anything that could lead into another folder."""
    return re.sub(r"[^\w.+-]+", "_", genotype.name).lstrip(".") or "cell"
