"""Output whose reader is gone, or whose encoding lacks letters."""

import subprocess
import sys

import pytest

from tests.helpers.command_lines import ROOT


@pytest.mark.parametrize("words", [["-m", "nas", "--help"], [str(ROOT / "search.py"), "--help"]])
def test_head_ends_a_command_quietly(words, child_environment, tmp_path):
    process = subprocess.Popen(
        [sys.executable, *words], env=child_environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    with process:
        assert process.stderr.read() == b""
    assert process.returncode == 141  # as a shell reports SIGPIPE


def test_help_on_an_ascii_output(child_environment, tmp_path):
    environment = {**child_environment, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "nas", "runs", "--help"], env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"minutes, seed, ?" in done.stdout
