"""A signal to ``nas select`` or ``nas table9`` ends the trainings that they started, and no further ones begin."""

import os
import signal
import sys
import threading
import time

import pytest

from nas.cli import job_pool
from nas.cli.child_processes import ChildProcesses
from nas.cli.job_pool import PoolJob, run_jobs

CHILD = """
import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path(sys.argv[1] + ".checkpoint").touch()
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1] + ".started").touch()
time.sleep(60)
"""


def signal_when(path, number):
    """Send this process a signal as soon as the file exists."""

    def wait():
        while not path.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_jobs_and_begins_no_others(tmp_path, monkeypatch, capsys, number):
    monkeypatch.setattr(job_pool, "process_words", lambda command, words: [sys.executable, "-c", CHILD, *words])
    before = signal.getsignal(number)
    signal_when(tmp_path / "one.started", number)
    jobs = [PoolJob(name, "retrain", (str(tmp_path / name),)) for name in ("one", "two")]
    with pytest.raises(SystemExit) as ended:
        run_jobs(jobs, 1, lambda job: "done")
    assert ended.value.code == 128 + number
    assert {path.name for path in tmp_path.iterdir()} == {"one.started", "one.checkpoint"}
    assert "one: failed: exit code 143" in capsys.readouterr().out
    assert signal.getsignal(number) == before


def test_a_signal_that_was_ignored_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ChildProcesses() as processes:
            os.kill(os.getpid(), signal.SIGHUP)
            assert processes.run([sys.executable, "-c", "import sys; sys.exit(5)"]) == (5, "")
    finally:
        signal.signal(signal.SIGHUP, before)
