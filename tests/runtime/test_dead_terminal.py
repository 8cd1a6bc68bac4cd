"""A run outlives its terminal, and keeps the promised exit codes."""

import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
RUN = """
import signal, sys, time
from contextlib import nullcontext
from pathlib import Path
from nas.cli.exit_codes import run_and_exit
from nas.runtime.progress import StatusLine
from nas.runtime.signals import StopSignals

warning, postponed, ignored, log = sys.argv[1:]
if ignored:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

def work():
    with StopSignals(warning or None) as stop:
        with stop.postponed() if postponed else nullcontext():
            line = StatusLine()
            Path(log).write_text("begun")
            for _ in range(40):
                if stop.asked():
                    break
                time.sleep(0.1)
                line.show("step")
            print("a report", flush=True)
            Path(log).write_text(f"done {stop.name}")

run_and_exit(work)
"""


@pytest.mark.parametrize(
    ("warning", "postponed", "ignored", "code", "text"),
    [
        ("HUP", "postponed", "", 129, "done SIGHUP"),
        ("HUP", "", "", 129, "begun"),
        ("", "", "", -signal.SIGHUP, "begun"),  # the default effect: a shell shows 129
        ("", "postponed", "ignored", 0, "done None"),  # nohup, or a detached process
    ],
)
def test_the_terminal_goes(warning, postponed, ignored, code, text, tmp_path):
    log = tmp_path / "log"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", RUN, warning, postponed, ignored, str(log)], ENVIRONMENT)
    end = time.monotonic() + 60
    while not (log.exists() and log.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert (os.waitstatus_to_exitcode(status), log.read_text()) == (code, text)
