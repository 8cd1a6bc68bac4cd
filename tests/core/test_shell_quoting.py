"""Printed settings, pasted into a shell and read by Hydra, mean the value that was printed."""

import subprocess
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from nas.core.shell_quoting import quote_setting, quote_value

VALUES = [
    "runs/darts-seed0",
    "$(touch hacked)",
    "`touch hacked`",
    "a;touch hacked",
    "a'b",
    'a"b',
    'it\'s "both"',
    "${oc.env:HOME}",
    "$HOME",
    "~/a",
    "a b",
    "a  b",
    "back\\slash",
    "back\\\\",
    'back\\"',
    "a\nb",
    "*",
    "!!",
    "#",
    "a=b",
    "a,b",
    "[1,2]",
    "{a:1}",
    "007",
    "1e5",
    ".5",
    "-1",
    "true",
    "NULL",
    "nan",
    "",
    "ü€",
    "²",
]
ECHO = "import sys; sys.stdout.buffer.write(b'\\0'.join(word.encode() for word in sys.argv[1:]))"


def by_hydra(word: str) -> object:
    value = OverridesParser.create().parse_override(word).value()
    return OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=True)["value"]


@pytest.mark.parametrize("value", VALUES)
def test_a_shell_and_hydra_read_the_value_back(value, tmp_path):
    command = f'"$0" -c "$1" {quote_setting("resume", value)} last'
    ended = subprocess.run(["sh", "-c", command, sys.executable, ECHO], cwd=tmp_path, capture_output=True, check=True)
    words = ended.stdout.decode().split("\0")
    assert words == [f"resume={quote_value(value)}", "last"]
    read = by_hydra(words[0])
    assert str(read) == value
    assert isinstance(read, str)
    assert not list(tmp_path.iterdir())


@settings(max_examples=300, deadline=None)
@given(st.text("ab01.,+-_/=[]{}()\"'\\$:; \t~&|<>*?!#%@^`²ü", max_size=12))
def test_hydra_reads_any_value_back(value):
    assert str(by_hydra(f"key={quote_value(value)}")) == value
