"""The parser of a command's options; an option that several commands have is declared here, with one name."""

import argparse
from pathlib import Path
from typing import NoReturn

from nas.cli.commands import COMMANDS
from nas.cli.program import program_name
from nas.core.formatting import escape_unprintable

CELL_HELP = "a run folder, a name in cells/, a genotype file, Genotype(…), or a string of NAS-Bench-201"


class CommandParser(argparse.ArgumentParser):
    """The parser of the command ``name``, in the words by which the program was called."""

    def __init__(self, name: str) -> None:
        text = COMMANDS[name].help
        super().__init__(program_name(name), description=f"{text[0].upper()}{text[1:]}.")

    def error(self, message: str) -> NoReturn:
        """Exit with code 2; the message holds words as they were given."""
        super().error(escape_unprintable(message))

    def add_operators(self, purpose: str = "") -> None:
        """Add ``--ops``."""
        self.add_argument("--ops", metavar="FILE", help=f"a Python file that registers your own operators{purpose}")

    def add_output(self, text: str, required: bool = False) -> None:
        """Add ``-o`` and ``--output``."""
        self.add_argument("-o", "--output", type=Path, required=required, help=text)

    def add_runs(self) -> None:
        """Add one or more run folders of searches."""
        self.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folder of a search")


def load_operators(ops: str | None) -> None:
    """Run the user's file ``ops``, if there is one; torch is imported only then."""
    if ops is not None:
        from nas.ops.registry import load_user_operators

        load_user_operators(ops)
