"""Output of the commands: lines in which a path or a name from a file cannot control the terminal."""

import sys
from typing import TextIO

from nas.core.formatting import escape_unprintable


def print_lines(*lines: object, file: TextIO | None = None, flush: bool = False) -> None:
    """Print each of ``lines`` as exactly one line, with escapes in place of unprintable characters."""
    text = "".join(f"{escape_unprintable(str(line))}\n" for line in lines)
    print(text, end="", file=file, flush=flush)


def print_warning(text: str) -> None:
    """Print ``text`` as one line on standard error."""
    print_lines(f"warning: {text}", file=sys.stderr)
