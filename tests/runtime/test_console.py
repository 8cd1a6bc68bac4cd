"""The status line on a real terminal, lines elsewhere, colors, and outputs that cannot show every letter."""

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from nas.core import terminal
from nas.core.terminal import cut, print_lines
from nas.engine.throughput import Throughput
from nas.runtime.progress import Progress, StatusLine

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
from nas.core.terminal import print_lines, print_warning
from nas.engine.throughput import Throughput
from nas.runtime.progress import StatusLine

line, times = StatusLine(stamped=True), Throughput(28, 150, 64)
for step in (0, 5, 28):
    line.show(times.step_line(99, step, 2.3026, 0.123, 0.025))
print_lines("to stdout")
line.show("reading 画像 " + 100 * "画")
print_warning("in between")
epoch = "epoch 1/150 done | train loss 2.303 acc 12.3% | valid loss 2.303 acc 12.34% | lr 0.0250 | 100 images/s"
line.show(epoch, last=True)
line.show("again")
line.end()
print("a traceback", file=sys.stderr)
"""


def on_a_terminal(columns: int, **environment: str) -> str:
    """Return what ``RUN`` writes to a terminal of that width."""
    pid, descriptor = pty.fork()
    if pid == 0:
        time.sleep(0.2)  # until the terminal has its width
        os.execve(sys.executable, [sys.executable, "-c", RUN], {**os.environ, "PYTHONPATH": str(ROOT), **environment})
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    chunks = []
    while True:
        try:
            chunk = os.read(descriptor, 4096)
        except OSError:  # the end, on Linux
            chunk = b""
        if not chunk:
            break
        chunks.append(chunk)
    os.waitpid(pid, 0)
    os.close(descriptor)
    return b"".join(chunks).decode()


def width(text: str) -> int:
    return sum(2 if letter > "\u2e80" else 1 for letter in text)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_line_wraps(columns):
    shown = on_a_terminal(columns, TERM="xterm", NO_COLOR="1")
    rows = [re.sub(r"\x1b\[K", "", row).split("\r")[-1] for row in shown.replace("\r\n", "\n").split("\n")]
    rewritten = [part.replace("\x1b[K", "") for part in re.split(r"[\r\n]+", shown)]
    assert max(map(width, rewritten)) < columns  # the cursor stays on its line
    assert rewritten[1].startswith("epoch 100/150 step 0/28 | loss 2.303")  # no time left before the first step
    assert " left" not in rewritten[1]
    assert " left | loss 2.303" in rewritten[2]
    assert rows[1] == "to stdout"  # not behind the status line
    assert rows[3] == "warning: in between"
    epoch = [row for row in rows if row.startswith(("epoch 1/150", "    "))]
    assert " | ".join(row.strip() for row in epoch).endswith("12.34% | lr 0.0250 | 100 images/s")
    assert rows[-2] == "a traceback"
    assert "\x1b[1" not in shown


def test_colors_on_a_terminal_unless_refused(monkeypatch):
    tty = io.StringIO()
    tty.isatty = lambda: True
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_lines("error: a=\x1b[2J", "plain", file=tty)
    assert tty.getvalue() == "\x1b[1;31merror:\x1b[0m a=\\x1b[2J\nplain\n"
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            assert not terminal.has_colors(tty)
    assert not terminal.has_colors(io.StringIO())


def test_letters_that_an_output_cannot_encode_are_replaced():
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    print_lines("λ of ümläut – 画", file=latin, flush=True)
    assert latin.buffer.getvalue().decode("latin-1") == "? of ümläut ? ?\n"


def test_cut_counts_the_columns():
    assert [cut("ab画c", columns) for columns in range(6)] == ["", "a", "ab", "ab", "ab画", "ab画c"]
    assert cut("e\u0301f", 1) == "e\u0301"


def test_a_log_file_gets_few_lines_with_the_time(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line, lines = StatusLine(30.0, stamped=True), 0
    for second in range(0, 36_000, 10):  # ten hours
        now[0] = float(second)
        if line.due():
            line.show("step")
            lines += 1
    assert lines < 100
    first, *_ = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"step \| elapsed 30 s \| \d\d:\d\d:\d\d", first)


def test_nothing_is_estimated_before_something_is_done(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 1e6)
    assert Progress("reading", 300)._text() == "reading: 0/300 images"
    resumed = Throughput(28, 7, 64)
    resumed.start_epoch(5)
    assert "left" not in resumed.step_line(0, 5, 1.0, 0.5, 0.1)
