"""``nas select``: short trainings of the cells of several searches, and of random ones beside them."""

from collections.abc import Sequence
from pathlib import Path

from nas.cli.command_parser import CommandParser


def main(arguments: Sequence[str]) -> None:
    """Train the cells of searches and random ones for a short time, and rank them."""
    parser = CommandParser("select")
    parser.add_runs()
    parser.add_argument("--random", type=int, default=4, metavar="N", help="random cells of the space (default: 4)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the trainings of each cell (default: 0)")
    parser.add_argument("--folder", type=Path, default=Path("runs/select"), help="of the trainings, old and new")
    parser.add_argument("--jobs", type=int, metavar="N", help="trainings side by side (default: one for each core)")
    text = "settings of the trainings, such as epochs=100 (default: preset=short)"
    parser.add_argument("--set", dest="settings", nargs="+", default=[], metavar="KEY=VALUE", help=text)
    parser.add_output("file.md for the table, too")
    given = parser.parse_args(arguments)
    from nas.cli.select import Selection, make_selection

    make_selection(Selection(**vars(given)))
