"""Printed settings, pasted into a shell and read by Hydra, mean the value that was printed."""

import os
import shutil
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
    "a\x1b]0;title\x07b",
    "a\r\tb!\\'\"$(touch hacked)%d",
    "\x1b",
    "-e\n",
    "\u202eabc\u2066\u00a0",
    "\udcff",
]
ECHO = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
SHELLS = [name for name in ("sh", "bash", "dash", "zsh", "busybox") if shutil.which(name)]


def by_hydra(word: str) -> object:
    value = OverridesParser.create().parse_override(word).value()
    return OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=True)["value"]


@pytest.mark.parametrize("value", VALUES)
def test_a_shell_and_hydra_read_the_value_back(value, tmp_path):
    quoted = quote_setting("resume", value)
    assert quoted.isprintable()
    for shell in SHELLS:
        program = [shell, *(["sh"] if shell == "busybox" else []), "-c", f'"$0" -c "$1" {quoted} last']
        ended = subprocess.run([*program, sys.executable, ECHO], cwd=tmp_path, capture_output=True, check=True)
        words = os.fsdecode(ended.stdout).split("\0")
        assert words == [f"resume={quote_value(value)}", "last"], shell
    read = by_hydra(words[0])
    assert str(read) == value
    assert isinstance(read, str)
    assert not list(tmp_path.iterdir())


def test_a_lone_surrogate_of_a_stored_setting_is_printable():
    assert quote_setting("space", "\ud800").isprintable()


@settings(max_examples=300, deadline=None)
@given(st.text("ab01.,+-_/=[]{}()\"'\\$:; \t~&|<>*?!#%@^`²ü", max_size=12))
def test_hydra_reads_any_value_back(value):
    assert str(by_hydra(f"key={quote_value(value)}")) == value
