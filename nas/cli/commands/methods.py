"""``nas methods``: the search methods."""

import dataclasses
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.cli.command_parser import CommandParser, load_operators
from nas.cli.program import program_name
from nas.cli.tables import summary_of, text_table
from nas.core.formatting import format_value
from nas.core.paths import PACKAGE
from nas.core.terminal import print_lines


def main(arguments: Sequence[str]) -> None:
    """Print the table of methods, or all about one of them."""
    parser = CommandParser("methods")
    parser.add_argument("name", nargs="?", help="a method, such as gdas")
    parser.add_operators(" and methods")
    given = parser.parse_args(arguments)
    from nas.search.methods import methods

    load_operators(given.ops)
    if given.name is not None:
        print_lines(*_describe(methods[given.name]))
        return
    papers = {name: methods[name].paper.rpartition(", ")[2].removeprefix("arXiv ") for name in methods}
    rows = [[name, papers[name], methods[name].error, summary_of(methods[name].build)] for name in methods]
    print_lines(*text_table([["method", "paper", "error %", "what it is"], *rows]))
    print_lines("", "error: the paper's, CIFAR-10, DARTS space; training differs between papers")
    print_lines(f"one of them: {program_name('methods')} gdas; composed with +: method=gdas+pc_darts")


def _describe(entry: Any) -> list[str]:
    """Return the lines on one method: what it is, its own settings, the settings that it changes, its source."""
    method = entry.build(entry.settings())
    lines = [f"{entry.name}: {summary_of(entry.build)}", f"paper: {entry.paper or 'none is named'}"]
    if entry.error:
        lines.append(f"test error that it reports, CIFAR-10, DARTS space: {entry.error} %")
    if entry.when:
        lines.append(f"when to take it: {entry.when}")
    if method.orders == (1,):
        lines.append("first order only (order=1)")
    if not method.capturable:
        lines.append("not with cuda_graphs=true")
    module = sys.modules[entry.build.__module__]
    if module.__doc__:
        lines += ["", *module.__doc__.strip().split("\n")]
    lines += ["", "its own settings:", *_own_settings(entry)]
    changed = [f"  {key}={value}" for key, value in entry.changes.items()]
    lines += ["", "settings of the search that it changes, unless you set them:", *(changed or ["  none"])]
    file = Path(inspect.getsourcefile(entry.build) or "")
    shown = file.relative_to(PACKAGE.parent) if file.is_relative_to(PACKAGE) else file
    return [*lines, "", f"source: {shown}", f"search by it: {program_name('search')} space=darts method={entry.name}"]


def _own_settings(entry: Any) -> list[str]:
    fields = dataclasses.fields(entry.settings)
    if not fields:
        return ["  none"]
    defaults = entry.settings()
    values = {field.name: getattr(defaults, field.name) for field in fields}
    text = inspect.getdoc(entry.settings) or ""
    lines = [f"  methods.{entry.name}.{name}={_as_typed(value)}" for name, value in values.items()]
    return [*lines, *(f"  {line}".rstrip() for line in text.split("\n"))]


def _as_typed(value: object) -> str:
    """Return a value as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else format_value(value)
