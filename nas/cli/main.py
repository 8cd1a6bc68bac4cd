"""``nas``: one program for all commands; those that are listed are in :mod:`nas.cli.commands`."""

import sys
from collections.abc import Sequence

from nas.cli.commands import COMMANDS, SECTIONS
from nas.cli.exit_codes import run_and_exit
from nas.cli.program import program_name
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import nearest
from nas.core.terminal import print_lines


def main(argv: Sequence[str] | None = None) -> None:
    """Run the console command ``nas``, or ``python -m nas``."""
    run_and_exit(lambda: _run(sys.argv[1:] if argv is None else argv))


def _run(words: Sequence[str]) -> None:
    name = words[0] if words else "--help"
    if name in ("-h", "--help", "help"):
        print_lines(*_overview())
    elif name == "--version":
        from nas.cli.version_report import print_versions

        print_versions()
    elif name in COMMANDS:
        COMMANDS[name].load()(words[1:])
    else:
        raise InputError(
            f"unknown command {format_value(name)}: {nearest(name, COMMANDS)}; see {program_name()} --help"
        )


def _overview() -> list[str]:
    """Return the lines of the program's help: all commands with what they do."""
    program = program_name()
    lines = [f"usage: {program} COMMAND …", "", "Differentiable architecture search with super-operators."]
    for title, commands in SECTIONS.items():
        lines += ["", f"{title}:", *(f"  {command.name:<11}{command.help}" for command in commands)]
    return [
        *lines,
        "",
        f"{program} COMMAND --help",
        f"{program} --version",
        "",
        "Settings are key=value, options --name. A first search, minutes on two cores:",
        f"  {program} search space=darts+sandglass data=digits preset=quick",
    ]
