"""``python -m nas table9 | evolution | sizes``: what runs tell, as tables and drawings."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.storage.atomic_files import write_file


def add_figures(commands: Any) -> None:
    """The commands that read run folders, and the one that makes them for the paper's table."""
    _add_table9(commands)
    draws = commands.add_parser("evolution", help="draw the strengths of searches over their epochs")
    _add_runs(draws, evolution)
    sized = commands.add_parser("sizes", help="the found networks' sizes against the price that searches put on them")
    _add_runs(sized, sizes)


def evolution(runs: Sequence[Path], output: Path) -> None:
    """Draw the strengths over the epochs into ``output``; beside it, in Markdown, what the finished ones found."""
    from nas.reports.alpha_evolution import read_alpha_evolution
    from nas.reports.alpha_evolution_plot import plot_alpha_evolution
    from nas.reports.found_cells import describe_searches, read_finished_search
    from nas.reports.run_folder import is_finished

    _check_svg(output)
    write_file(output, plot_alpha_evolution([read_alpha_evolution(run) for run in runs]))
    print(output)
    if ended := [read_finished_search(run) for run in runs if is_finished(run)]:
        write_file(output.with_suffix(".md"), describe_searches(ended).encode())
        print(output.with_suffix(".md"))


def sizes(runs: Sequence[Path], output: Path) -> None:
    """Draw size against λ into ``output``, and write the table beside it, in Markdown; print the table too."""
    from nas.reports.size_by_penalty import plot_sizes, read_sized_search, sizes_table

    _check_svg(output)
    searches = [read_sized_search(run) for run in runs]
    write_file(output, plot_sizes(searches))
    write_file(output.with_suffix(".md"), sizes_table(searches).encode())
    print(sizes_table(searches), output, output.with_suffix(".md"), sep="\n")


def table9(**options: Any) -> None:
    """Make what is missing of the paper's Table 9, and write it."""
    from nas.cli.table9 import Plan
    from nas.cli.table9 import table9 as make

    make(Plan(**options))


def _add_table9(commands: Any) -> None:
    tables = commands.add_parser(
        "table9", help="search spaces, retrain what is found, compare with the paper's Table 9"
    )
    tables.add_argument("--preset", default="paper", help="paper, table9_gpu, table9_cpu (hours), quick")
    tables.add_argument("--spaces", nargs="*", default=["darts", "darts+ir", "darts+sandglass"])
    tables.add_argument("--cells", nargs="+", default=[], help="given cells, such as darts_v2: only retrained")
    tables.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    tables.add_argument("--folder", type=Path, default=Path("runs/table9"), help="goes on with what is there")
    tables.add_argument(
        "--both", nargs="+", default=[], metavar="KEY=VALUE", help="settings of both, such as data=digits"
    )
    tables.add_argument("--search", nargs="+", default=[], metavar="KEY=VALUE", help="settings of search.py")
    tables.add_argument("--retrain", nargs="+", default=[], metavar="KEY=VALUE", help="settings of retrain.py")
    tables.add_argument("--collect", action="store_true", help="run nothing; write what is finished in --folder")
    tables.add_argument("-o", "--output", type=Path, help="where --collect writes (default: --folder)")
    tables.set_defaults(command=table9)


def _add_runs(parser: argparse.ArgumentParser, command: Any) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_FOLDER", help="the folder of a search")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file.svg; file.md is written beside it")
    parser.set_defaults(command=command)


def _check_svg(output: Path) -> None:
    if output.suffix != ".svg":
        raise InputError(f"{output}: a drawing of figures ends with .svg")
