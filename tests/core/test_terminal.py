"""Lines of the commands: no path or name can control the terminal."""

import pytest

from nas.core.errors import DivergedError, InputError
from nas.core.formatting import escape_unprintable
from nas.core.terminal import print_lines, print_warning

ESCAPED = {
    "plain ü€ \\n": "plain ü€ \\n",
    "a\x1b[2Jb": r"a\x1b[2Jb",
    "a\nb\rc\td": r"a\nb\rc\td",
    "\x9b\x00": r"\x9b\x00",  # the one-byte control sequence introducer
    "\u202eabc\u2066": r"\u202eabc\u2066",  # bidirectional override and isolate
    "\u2028\u200b": r"\u2028\u200b",  # line separator, zero-width space
    "\udcff": r"\udcff",  # a byte of a file name that is not UTF-8
}


@pytest.mark.parametrize("text", ESCAPED)
def test_unprintable_characters_are_escaped(text, capsys):
    assert escape_unprintable(text) == ESCAPED[text]
    print_lines(text, "next")
    print_warning(text)
    out, err = capsys.readouterr()
    assert out.split("\n") == [ESCAPED[text], "next", ""]
    assert err.split("\n") == [f"warning: {ESCAPED[text]}", ""]


@pytest.mark.parametrize("kind", [InputError, DivergedError])
def test_an_error_is_one_printable_line(kind):
    assert str(kind("a\x1b\nb")) == r"a\x1b\nb"
