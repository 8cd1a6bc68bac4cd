"""Commands whose arguments are settings (key=value); what needs no torch is answered before it is imported."""

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nas.cli.exit_codes import run_and_exit
from nas.cli.program import program_name
from nas.cli.run_help import asks_for_help, run_help
from nas.cli.setting_help import setting_keys
from nas.cli.version_report import print_versions
from nas.core.errors import InputError
from nas.core.formatting import escape_unprintable
from nas.core.registry import nearest
from nas.core.terminal import print_lines

# the configuration of each command, and the function that runs it
_TASKS = {
    "search": ("SearchConfig", "nas.cli.search_command", "search_command"),
    "retrain": ("RetrainConfig", "nas.cli.retrain_command", "retrain_command"),
}

_HYDRA_OPTIONS = frozenset(
    [
        "-c",
        "--cfg",
        "-cd",
        "--config-dir",
        "-cn",
        "--config-name",
        "-cp",
        "--config-path",
        "-h",
        "--help",
        "-i",
        "--info",
        "-m",
        "--multirun",
        "-p",
        "--package",
        "-r",
        "--run",
        "-sc",
        "--shell-completion",
        "--experimental-rerun",
        "--hydra-help",
        "--resolve",
        "--version",
    ]
)


def run_program(name: str, arguments: Sequence[str] | None = None) -> None:
    """Run ``search`` or ``retrain`` with ``arguments`` (key=value); None: those of the command line."""
    if arguments is None:
        arguments = sys.argv[1:]
        _name_successor(name)
    if "--version" in arguments:
        run_and_exit(print_versions)
        return
    if asks_for_help(arguments):
        run_and_exit(lambda: print_lines(*run_help(name, arguments)))
        return
    run_and_exit(lambda: _check_options(name, arguments))
    from nas.cli.hydra_entry import run_command

    run_command(name, lambda: _load(name), arguments)


def _name_successor(name: str) -> None:
    """Print the new name of ``nas-search`` or ``nas-retrain``, if it was called."""
    called = Path(sys.argv[0]).name
    if called == f"nas-{name}":
        print_lines(f"{called} is now: nas {name}", file=sys.stderr, flush=True)


def _check_options(name: str, arguments: Sequence[str]) -> None:
    """Raise :class:`InputError` for a setting written as an option, and for an option that Hydra does not have."""
    keys = {key.replace("-", "_") for key in setting_keys(name)}
    for number, word in enumerate(arguments):
        key, sign, value = word.removeprefix("--").partition("=")
        key = key.replace("-", "_")
        if word.startswith("--") and key in keys:
            value = value if sign else " ".join(arguments[number + 1 : number + 2]) or "VALUE"
            raise InputError(f"{word}: is a setting, not an option; write {key}={value}")
        if word.startswith("-") and word.partition("=")[0] not in _HYDRA_OPTIONS:
            hint = f"settings are key=value: {nearest(key, keys)}" if sign else f"see {program_name(name)} --help"
            raise InputError(f"{escape_unprintable(word)}: unknown option; {hint}")


def _load(name: str) -> tuple[type[Any], Callable[[Any, list[str]], None]]:
    """Return the configuration's class and the task; this imports torch."""
    kind, module, task = _TASKS[name]
    return getattr(importlib.import_module("nas.cli.config"), kind), getattr(importlib.import_module(module), task)
