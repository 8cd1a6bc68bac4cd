"""``nas runs | table9 | evolution | sizes | score``: lists, tables and plots of runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.terminal import print_lines
from nas.storage.atomic_files import write_file


def add_report_commands(commands: Any) -> None:
    """Add the commands that read run folders, and the one that makes the runs of the paper's table."""
    _add_list(commands)
    _add_table9(commands)
    evolution = commands.add_parser("evolution", help="plot the strengths of searches over their epochs")
    evolution.add_argument("--ops", help="a Python file that registers your own operators, for their colors")
    _add_runs(evolution, _plot_evolution)
    sizes = commands.add_parser("sizes", help="plot the sizes of the networks found against the size penalty")
    _add_runs(sizes, _plot_sizes)
    _add_score(commands)


def _add_list(commands: Any) -> None:
    listing = commands.add_parser("runs", help="list runs: state, epochs, accuracy, size, time")
    listing.add_argument("folder", type=Path, nargs="?", default=Path("runs"), help="searched with its subfolders")
    keys = "run, state, epochs, accuracy, params, macs, minutes, seed, …"
    listing.add_argument("--sort", default="run", metavar="KEY", help=f"{keys} (default: run)")
    listing.add_argument("--csv", action="store_true", help="all fields, as comma-separated values")
    listing.set_defaults(command=_list_runs)


def _list_runs(folder: Path, sort: str, csv: bool) -> None:
    """Print the runs in a folder, one line each."""
    from nas.reports.runs import list_runs, runs_csv, runs_table

    runs = list_runs(folder, sort)
    print_lines(*(runs_csv(runs).splitlines() if csv else runs_table(runs)))


def _plot_evolution(runs: Sequence[Path], output: Path, ops: str | None) -> None:
    """Plot the strengths over the epochs to ``output``; describe the cells found in a Markdown file beside it."""
    from nas.reports.alpha_evolution import read_alpha_evolution
    from nas.reports.alpha_evolution_plot import plot_alpha_evolution
    from nas.reports.found_cells import describe_searches, read_finished_search
    from nas.reports.run_folder import is_finished

    _check_svg(output)
    if ops is not None:
        from nas.ops.registry import load_user_operators

        load_user_operators(ops)
    write_file(output, plot_alpha_evolution([read_alpha_evolution(run) for run in runs]))
    print_lines(output)
    if finished := [read_finished_search(run) for run in runs if is_finished(run)]:
        write_file(output.with_suffix(".md"), describe_searches(finished).encode())
        print_lines(output.with_suffix(".md"))


def _plot_sizes(runs: Sequence[Path], output: Path) -> None:
    """Plot size against λ to ``output``; print the table and write it as Markdown beside the plot."""
    from nas.reports.size_by_penalty import plot_sizes, read_sized_search, sizes_table

    _check_svg(output)
    searches = [read_sized_search(run) for run in runs]
    write_file(output, plot_sizes(searches))
    write_file(output.with_suffix(".md"), sizes_table(searches).encode())
    print_lines(*sizes_table(searches).split("\n"), output, output.with_suffix(".md"))


def _table9(**options: Any) -> None:
    """Make the missing runs of the paper's Table 9, and write the table."""
    from nas.cli.table9 import Table9Plan, make_table9

    make_table9(Table9Plan(**options))


def _add_table9(commands: Any) -> None:
    table = commands.add_parser(
        "table9", help="search spaces, retrain the cells found, compare with the paper's Table 9"
    )
    table.add_argument("--preset", default="paper", help="paper, table9_gpu, table9_cpu (hours) or quick")
    table.add_argument("--spaces", nargs="*", default=["darts", "darts+ir", "darts+sandglass"])
    table.add_argument("--cells", nargs="+", default=[], help="cells to retrain without a search, such as darts_v2")
    table.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    table.add_argument("--folder", type=Path, default=Path("runs/table9"), help="folder of the runs, old and new")
    table.add_argument(
        "--both", nargs="+", default=[], metavar="KEY=VALUE", help="settings of both programs, such as data=digits"
    )
    table.add_argument("--search", nargs="+", default=[], metavar="KEY=VALUE", help="settings of search.py")
    table.add_argument("--retrain", nargs="+", default=[], metavar="KEY=VALUE", help="settings of retrain.py")
    table.add_argument("--collect", action="store_true", help="run nothing; tabulate the finished runs in --folder")
    table.add_argument("-o", "--output", type=Path, help="output folder of --collect (default: --folder)")
    table.set_defaults(command=_table9)


def _score(**options: Any) -> None:
    """Compare searches with a table of true accuracies."""
    from nas.cli.score import score_command

    score_command(**options)


def _add_score(commands: Any) -> None:
    score = commands.add_parser("score", help="compare the cells of searches with a table of true accuracies")
    score.add_argument("runs", type=Path, nargs="+", metavar="RUN_FOLDER", help="run folder of a search")
    score.add_argument("--truth", type=Path, required=True, metavar="TABLE", help="file.csv, .csv.gz or .csv.xz")
    score.add_argument("--column", help="column of the accuracies, if the table has several")
    score.add_argument(
        "--sample", type=int, default=0, metavar="N", help="rank N cells by the supernet, too: Kendall's tau"
    )
    score.add_argument("--images", type=int, metavar="N", help="images for that (default: all of the alphas' half)")
    paths = "settings that name code or paths elsewhere, for --sample"
    score.add_argument("--set", dest="repeated", nargs="+", default=[], metavar="KEY=VALUE", help=paths)
    score.add_argument("-o", "--output", type=Path, help="file.svg; file.md and file.csv are written beside it")
    score.set_defaults(command=_score)


def _add_runs(parser: argparse.ArgumentParser, command: Any) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_FOLDER", help="run folder of a search")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file.svg; file.md is written beside it")
    parser.set_defaults(command=command)


def _check_svg(output: Path) -> None:
    if output.suffix != ".svg":
        raise InputError(f"{output}: must end with .svg")
