"""``nas profile``: the time of each operator in a search step."""

from collections.abc import Sequence

from nas.cli.command_parser import CommandParser


def main(arguments: Sequence[str]) -> None:
    """Profile a few steps of a search."""
    parser = CommandParser("profile")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of a search, such as space=darts")
    parser.add_argument("--steps", type=int, default=3, help="steps to time, and as many again to profile")
    parser.add_output("folder for profile.json and trace.json")
    given = parser.parse_args(arguments)
    from nas.cli.profile import profile_command

    profile_command(**vars(given))
