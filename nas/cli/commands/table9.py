"""``nas table9``: the paper's Table 9."""

from collections.abc import Sequence
from pathlib import Path

from nas.cli.command_parser import CommandParser


def main(arguments: Sequence[str]) -> None:
    """Make the missing runs of the paper's Table 9, and write the table."""
    parser = CommandParser("table9")
    parser.add_argument("--preset", default="paper", help="paper, table9_gpu, table9_cpu (hours) or quick")
    parser.add_argument("--spaces", nargs="*", default=["darts", "darts+ir", "darts+sandglass"])
    parser.add_argument("--cells", nargs="+", default=[], help="cells to retrain without a search, such as darts_v2")
    parser.add_argument("--methods", nargs="+", default=["darts"], metavar="METHOD", help="of the searches")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="random cells of each space, seeds 0 to N-1")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=Path("runs/table9"), help="folder of the runs, old and new")
    both = "settings of searches and retrainings, such as data=digits"
    for option, text in (("both", both), ("search", "settings of searches"), ("retrain", "settings of retrainings")):
        parser.add_argument(f"--{option}", nargs="+", default=[], metavar="KEY=VALUE", help=text)
    parser.add_argument("--collect", action="store_true", help="run nothing; tabulate the finished runs in --folder")
    parser.add_argument("--add", type=Path, metavar="CSV", help="with --collect: rows of another table9.csv, too")
    parser.add_output("output folder of --collect (default: --folder)")
    given = parser.parse_args(arguments)
    from nas.cli.table9 import Table9Plan, make_table9

    make_table9(Table9Plan(**vars(given)))
