"""Commands run as processes of their own: started, waited for, and what they said."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def running(environment: dict[str, str], *command: str) -> Iterator[subprocess.Popen]:
    """A process with a group of its own, which hears SIGINT even where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored here would be ignored there
    process = subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, before)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until(holds, process: subprocess.Popen, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def said(process: subprocess.Popen) -> tuple[str, list[str]]:
    """What it printed to its end, and the lines that it complained with."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return out, [line for line in err.splitlines() if line and not line.startswith("epoch ")]


def command_to_go_on(out: str) -> list[str]:
    """The arguments of the command that a search which stopped in time prints."""
    (line,) = [line for line in out.splitlines() if line.startswith("go on with: ")]
    program, script, *arguments = shlex.split(line.removeprefix("go on with: "))
    assert program == "python"
    assert script.endswith("search.py")
    return arguments


def without_note(out: str) -> str:
    """What a command printed, without the line that says that Graphviz is missing on this machine."""
    return "".join(line for line in out.splitlines(keepends=True) if not line.startswith("drawn without Graphviz"))
