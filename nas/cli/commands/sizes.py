"""``nas sizes``: the sizes of the networks found against the size penalty."""

from collections.abc import Sequence

from nas.cli.command_parser import CommandParser
from nas.core.errors import InputError
from nas.core.terminal import print_lines
from nas.storage.atomic_files import write_file


def main(arguments: Sequence[str]) -> None:
    """Plot size against λ to ``output``; print the table and write it as Markdown beside the plot."""
    parser = CommandParser("sizes")
    parser.add_runs()
    parser.add_output("file.svg; file.md is written beside it", required=True)
    given = parser.parse_args(arguments)
    output = given.output
    if output.suffix != ".svg":
        raise InputError(f"{output}: must end with .svg")
    from nas.reports.size_by_penalty import plot_sizes, read_sized_search, sizes_table

    searches = [read_sized_search(run) for run in given.runs]
    write_file(output, plot_sizes(searches))
    write_file(output.with_suffix(".md"), sizes_table(searches).encode())
    print_lines(*sizes_table(searches).split("\n"), output, output.with_suffix(".md"))
