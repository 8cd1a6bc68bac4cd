"""``nas evolution``: the strengths of searches over their epochs."""

from collections.abc import Sequence

from nas.cli.command_parser import CommandParser, load_operators
from nas.core.errors import InputError
from nas.core.terminal import print_lines
from nas.storage.atomic_files import write_file


def main(arguments: Sequence[str]) -> None:
    """Plot the strengths over the epochs to ``output``; describe the cells found in a Markdown file beside it."""
    parser = CommandParser("evolution")
    parser.add_runs()
    parser.add_output("file.svg; file.md is written beside it", required=True)
    parser.add_operators(", for their colors")
    given = parser.parse_args(arguments)
    output = given.output
    if output.suffix != ".svg":
        raise InputError(f"{output}: must end with .svg")
    from nas.reports.alpha_evolution import read_alpha_evolution
    from nas.reports.alpha_evolution_plot import plot_alpha_evolution
    from nas.reports.found_cells import describe_searches, read_finished_search
    from nas.reports.run_folder import is_finished

    load_operators(given.ops)
    write_file(output, plot_alpha_evolution([read_alpha_evolution(run) for run in given.runs]))
    print_lines(output)
    if finished := [read_finished_search(run) for run in given.runs if is_finished(run)]:
        write_file(output.with_suffix(".md"), describe_searches(finished).encode())
        print_lines(output.with_suffix(".md"))
