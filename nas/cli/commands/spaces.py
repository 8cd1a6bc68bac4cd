"""``nas spaces``: the search spaces."""

import textwrap
from collections.abc import Sequence

from nas.cli.command_parser import CommandParser, load_operators
from nas.cli.program import program_name
from nas.cli.tables import MIN_WIDTH, text_table
from nas.core.terminal import print_lines
from nas.graph.space import Space
from nas.graph.space_file import list_spaces, read_space


def main(arguments: Sequence[str]) -> None:
    """Print the table of spaces, or all about one of them."""
    parser = CommandParser("spaces")
    parser.add_argument("name", nargs="?", help="a space, such as darts+sandglass, or a YAML file")
    parser.add_operators()
    given = parser.parse_args(arguments)
    if given.name is not None:
        load_operators(given.ops)
        print_lines(*_describe(read_space(given.name)))
        return
    rows = []
    for file in list_spaces():
        space = read_space(file.name)
        rows.append([file.name, str(len(space.operators)), str(len(space.edges)), file.description])
    print_lines(*text_table([["space", "operators", "edges", "what it is"], *rows], numbers=(1, 2)))
    print_lines("", f"one of them: {program_name('spaces')} darts; composed with +: space=darts+sandglass")


def _describe(space: Space) -> list[str]:
    """Return the lines on one space: its cell, its operators, its size."""
    from nas.costs.count import cost
    from nas.models.skeletons import skeleton_of
    from nas.models.supernet import Supernet
    from nas.ops import load_space

    descriptions = [f"{file.name}: {file.description}" for file in list_spaces() if file.name in space.name.split("+")]
    kept = {"all": "all are kept"}.get(str(space.edges_per_node), f"{space.edges_per_node} of each node are kept")
    cell = f"{space.inputs} inputs, {space.intermediate_nodes} nodes, {len(space.edges)} edges, of which {kept}"
    words = textwrap.wrap(", ".join(space.operators), MIN_WIDTH, initial_indent="  ", subsequent_indent="  ")
    lines = [*(descriptions or [space.name]), f"kinds of cell: {', '.join(space.kinds)}; a cell has {cell}"]
    lines += [f"{len(space.operators)} operators:", *words]
    cells = 5 if skeleton_of(space).cells == 5 else 8
    size = cost(Supernet(load_space(space.name), 16, cells, 10), (3, 32, 32))
    return [*lines, f"supernet of {cells} cells with 16 channels at 32x32: {size}"]
