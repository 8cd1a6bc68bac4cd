"""Commands in separate processes: start, wait, read the output."""

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
    """Start Python with ``command`` in its own process group; SIGINT reaches it even if the tests ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # an ignored signal is inherited
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


def output_of(process: subprocess.Popen) -> tuple[str, list[str]]:
    """Return stdout and the lines of stderr, without the status lines, once the process has ended."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return out, [line for line in err.splitlines() if line and not line.startswith("epoch ")]


def resume_arguments(out: str) -> list[str]:
    """Return the arguments of the command to resume that a stopped search prints."""
    (line,) = [line for line in out.splitlines() if line.startswith("resume with: ")]
    program, script, *arguments = shlex.split(line.removeprefix("resume with: "))
    assert program == "python"
    assert script.endswith("search.py")
    return arguments


def without_note(out: str) -> str:
    """Return ``out`` without the note that Graphviz is not installed."""
    return "".join(line for line in out.splitlines(keepends=True) if not line.startswith("drawn without Graphviz"))
