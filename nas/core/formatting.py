"""What the user gave, as an error message shows it."""

from pathlib import Path


def format_value(value: object) -> str:
    """``value`` as one line of bounded length: a path as it is, anything else as a literal."""
    if isinstance(value, Path) and str(value).isprintable():
        return _cut(str(value), 300)
    try:
        return _cut(repr(str(value) if isinstance(value, Path) else value), 80)
    except ValueError:  # Python does not write integers of more than 4300 digits
        return "a number of thousands of digits"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
