"""Output of the commands: lines in which a path or a name from a file cannot control the terminal."""

import os
import sys
import unicodedata
from typing import TextIO

from nas.core.formatting import escape_unprintable

_COLORS = {"error: ": "\x1b[1;31m", "warning: ": "\x1b[1;33m"}  # bold red, bold yellow
_status_open = False  # whether the cursor is at the end of a status line, see print_status


def print_lines(*lines: object, file: TextIO | None = None, flush: bool = False) -> None:
    """Print each of ``lines`` as exactly one line, with escapes in place of unprintable characters.

    An open status line is ended first. Letters that the output's encoding does not have are replaced. On a terminal,
    ``error:`` and ``warning:`` at the start of a line are colored, unless the user has set ``NO_COLOR``.
    """
    end_status()
    file = sys.stdout if file is None else file
    colored = has_colors(file)
    text = "".join(f"{_colored(line) if colored else line}\n" for line in map(_printable, lines))
    print(encodable(text, file), end="", file=file, flush=flush)


def print_warning(text: str) -> None:
    """Print ``text`` as one line on standard error."""
    print_lines(f"warning: {text}", file=sys.stderr)


def print_status(text: str, columns: int) -> None:
    """Show ``text`` on standard error, a terminal, in place of the last status; it never takes a second line."""
    global _status_open
    _status_open = True
    shown = encodable(cut(escape_unprintable(text), columns - 1), sys.stderr)
    print(f"\r{shown}\x1b[K", end="", file=sys.stderr, flush=True)


def end_status() -> None:
    """End the open status line, if there is one, so that what follows begins on a line of its own."""
    global _status_open
    if _status_open:
        _status_open = False
        print(file=sys.stderr, flush=True)


def erase_status() -> None:
    """Erase the open status line, if there is one."""
    global _status_open
    if _status_open:
        _status_open = False
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def is_terminal(file: TextIO) -> bool:
    """Return whether ``file`` is a terminal that can rewrite a line."""
    return file.isatty() and os.environ.get("TERM") != "dumb"


def has_colors(file: TextIO) -> bool:
    """Return whether to print colors to ``file``: on a terminal, unless ``NO_COLOR`` (no-color.org) is set."""
    return is_terminal(file) and not os.environ.get("NO_COLOR")


def encodable(text: str, file: TextIO) -> str:
    """Return ``text`` with ``?`` in place of the letters that the encoding of ``file`` does not have."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def cut(text: str, columns: int) -> str:
    """Return the start of ``text`` that fits into ``columns`` of a terminal; wide letters take two."""
    used = 0
    for index, letter in enumerate(text):
        used += 0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > columns:
            return text[:index]
    return text


def replace_unencodable() -> None:
    """Let standard output and error replace letters that they cannot encode, also those that libraries print."""
    for file in (sys.stdout, sys.stderr):
        if hasattr(file, "reconfigure"):
            file.reconfigure(errors="replace")


def _printable(line: object) -> str:
    return escape_unprintable(str(line))


def _colored(line: str) -> str:
    for start, color in _COLORS.items():
        if line.startswith(start):
            return f"{color}{start.strip()}\x1b[0m {line[len(start) :]}"
    return line
