"""User-supplied values in messages."""

from pathlib import Path


def format_value(value: object) -> str:
    """Return ``value`` as one printable line of bounded length: a path as it is, anything else as a literal."""
    if isinstance(value, Path) and str(value).isprintable():
        return _truncate(str(value), 300)
    try:
        return _truncate(repr(str(value) if isinstance(value, Path) else value), 80)
    except ValueError:  # Python refuses to print integers of more than 4300 digits
        return "a number of thousands of digits"


def escape_unprintable(text: str) -> str:
    r"""Return ``text`` on one line, with escapes such as ``\x1b`` and ``\u202e`` in place of unprintable characters.

    Those are control characters, which a terminal obeys, format characters, which can reverse the reading order, and
    bytes that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _truncate(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
