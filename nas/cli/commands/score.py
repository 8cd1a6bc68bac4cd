"""``nas score``: searches against a table of true accuracies."""

from collections.abc import Sequence
from pathlib import Path

from nas.cli.command_parser import CommandParser


def main(arguments: Sequence[str]) -> None:
    """Compare searches with a table of true accuracies."""
    parser = CommandParser("score")
    parser.add_runs()
    parser.add_argument("--truth", type=Path, required=True, metavar="TABLE", help="file.csv, .csv.gz or .csv.xz")
    parser.add_argument("--column", help="column of the accuracies, if the table has several")
    parser.add_argument(
        "--sample", type=int, default=0, metavar="N", help="rank N cells by the supernet, too: Kendall's tau"
    )
    parser.add_argument("--images", type=int, metavar="N", help="images for that (default: all of the alphas' half)")
    paths = "settings that name code or paths elsewhere, for --sample"
    parser.add_argument("--set", dest="repeated", nargs="+", default=[], metavar="KEY=VALUE", help=paths)
    parser.add_output("file.svg; file.md and file.csv are written beside it")
    given = parser.parse_args(arguments)
    from nas.cli.score import score_command

    score_command(**vars(given))
