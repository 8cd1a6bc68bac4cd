"""Quoting of values in commands that are printed to be pasted into a shell."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

_KEYWORDS = ("true", "false", "null", "nan", "inf")  # to Hydra these are not text


def quote_value(value: str | Path) -> str:
    """Return a path, or several joined with ``+``, quoted as Hydra reads a value in ``key=value``; not for a shell."""
    value = str(value)
    if re.fullmatch(r"[A-Za-z_/][A-Za-z0-9_./+-]*", value) and value.lower() not in _KEYWORDS:
        return value
    value = re.sub(r'\\+(?="|$)', lambda backslashes: 2 * backslashes[0], value)  # elsewhere a backslash is itself
    value = re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + r"\${", value)  # no interpolation
    return '"' + value.replace('"', r"\"") + '"'


def quote_setting(key: str, value: str | Path) -> str:
    """Return ``key=value`` quoted for Hydra and then for a shell, in which ``$(...)`` in a path would run."""
    return quote_word(f"{key}={quote_value(value)}")


def quote_command(words: Iterable[str]) -> str:
    """Return a command line of ``words``, each quoted by :func:`quote_word`."""
    return " ".join(map(quote_word, words))


def quote_word(word: str) -> str:
    r"""Return ``word`` quoted for a POSIX shell, in printable characters only.

    Unprintable characters, which a terminal would obey, become octal bytes: ``"$(printf %b 'a\0033b')"``.
    A newline at the very end is lost, as ``$(...)`` removes it; words made by :func:`quote_value` end in a quote.
    """
    if word.isprintable():
        return shlex.quote(word)
    return f'"$(printf %b {shlex.quote("".join(map(_printf_escape, word)))})"'


def _printf_escape(letter: str) -> str:
    if letter == "\\":
        return r"\\"
    if letter.isprintable() and letter != "!":  # in double quotes, bash expands ! on a typed line
        return letter
    undecoded = "\udc80" <= letter <= "\udcff"  # a byte of a file name that is not UTF-8
    data = letter.encode("utf-8", "surrogateescape" if undecoded else "surrogatepass")
    return "".join(f"\\0{byte:03o}" for byte in data)
