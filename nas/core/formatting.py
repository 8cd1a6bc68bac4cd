"""Values in messages: those of users, and counts."""

import math
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


def format_count(number: int) -> str:
    """Return a count to three digits, with k, M or G for thousands, millions or billions, such as ``3.35 M``."""
    if abs(number) < 1000:
        return str(number)
    rounded = float(f"{number:.3g}")  # 999,999 is 1.00 M
    factor, unit = next(pair for pair in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if abs(rounded) >= pair[0])
    scaled = rounded / factor
    return f"{scaled:.{max(0, 2 - int(math.log10(abs(scaled))))}f} {unit}"


def _truncate(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def format_plural(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 epoch``, ``1,200 steps``; the plural ends in s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
