"""``nas runs``: the runs in a folder, one line each."""

from collections.abc import Sequence
from pathlib import Path

from nas.cli.command_parser import CommandParser
from nas.core.terminal import print_lines


def main(arguments: Sequence[str]) -> None:
    """Print the runs in a folder, one line each."""
    parser = CommandParser("runs")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs"), help="searched with its subfolders")
    keys = "run, state, epochs, accuracy, params, macs, minutes, seed, …"
    parser.add_argument("--sort", default="run", metavar="KEY", help=f"{keys} (default: run)")
    parser.add_argument("--csv", action="store_true", help="all fields, as comma-separated values")
    given = parser.parse_args(arguments)
    from nas.reports.runs import list_runs, runs_csv, runs_table

    runs = list_runs(given.folder, given.sort)
    print_lines(*(runs_csv(runs).splitlines() if given.csv else runs_table(runs)))
