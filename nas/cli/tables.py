"""Tables of what there is, as lines for a terminal."""

import inspect
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from nas.core.formatting import format_count
from nas.reports.markdown import DASH

MIN_WIDTH = 79
_SOURCE = re.compile(r"arXiv \d{4}\.\d{4,5}")


def text_table(rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> list[str]:
    """Return the lines of a table; the first row names the columns, the last column is wrapped, numbers stand right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    indent = sum(widths) + 2 * len(widths)
    width = max(shutil.get_terminal_size().columns if sys.stdout.isatty() else MIN_WIDTH, MIN_WIDTH, indent + 24)
    lines = []
    for *words, text in rows:
        pairs = enumerate(zip(words, widths, strict=True))
        start = "".join(f"{word.rjust(w) if k in numbers else word.ljust(w)}  " for k, (word, w) in pairs)
        lines += textwrap.wrap(text, width, initial_indent=start, subsequent_indent=" " * indent) or [start.rstrip()]
    return lines


def count_words(number: int) -> str:
    """Return a count to three digits for a table, a dash for 0."""
    return format_count(number) if number else DASH


def summary_of(function: Callable[..., Any]) -> str:
    """Return the first line of a function's docstring without "Return" and the full stop."""
    first = (inspect.getdoc(function) or "").partition("\n")[0].removesuffix(".")
    return first.removeprefix("Return ")


def source_of(function: Callable[..., Any]) -> str:
    """Return the paper that the docstring of a function or of its module names, empty if there is none."""
    module = sys.modules.get(function.__module__)
    texts = (inspect.getdoc(function), None if module is None else module.__doc__)
    return next((match.group() for text in texts if text and (match := _SOURCE.search(text))), "")
