"""Signals: postponed where work can finish cleanly, immediate elsewhere; other handlers are restored."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from nas.runtime import signals
from nas.runtime.signals import WARNINGS, Interrupted, StopSignals

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
CODES = [(None, "TERM", 143), (None, "INT", 130), ("USR1", "USR1", 128 + signal.SIGUSR1)]


@pytest.fixture(autouse=True)
def as_in_a_terminal():
    """A shell that starts tests in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def send(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, f"SIG{name}"))


@pytest.mark.parametrize(("warning", "name", "code"), CODES)
def test_a_postponed_signal_waits_and_sets_the_exit_code(warning, name, code):
    done = []

    def work() -> None:
        with StopSignals(warning) as stop:
            with stop.postponed():
                assert not stop.asked()
                send(name)
                done.append("step")
            assert stop.asked()
            assert stop.name == f"SIG{name}"
            done.append("report")

    with pytest.raises(SystemExit) as left:
        work()
    assert (left.value.code, done) == (code, ["step", "report"])


@pytest.mark.parametrize(("warning", "name", "code"), CODES)
def test_elsewhere_a_signal_interrupts(warning, name, code):
    def work() -> None:
        with StopSignals(warning):
            send(name)
            time.sleep(5)

    with pytest.raises(Interrupted, match=f"stopped by SIG{name}") as info:
        work()
    assert 128 + info.value.number == code


def test_except_exception_does_not_swallow_it():
    def work() -> None:
        with StopSignals(), suppress(Exception):
            send("TERM")
            time.sleep(5)

    with pytest.raises(Interrupted):
        work()


def test_handlers_are_restored():
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD]
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(SystemExit), StopSignals("USR1") as stop, stop.postponed():
        send("USR1")
    with StopSignals("USR1"):
        assert [signal.getsignal(number) for number in numbers[:3]] != before[:3]
    with pytest.raises(ZeroDivisionError), StopSignals("USR1"):
        _ = 1 / 0
    assert [signal.getsignal(number) for number in numbers] == before


def test_none_is_set_outside_the_main_thread():
    before, found = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with StopSignals() as stop, stop.postponed():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_ignored_signals_stay_ignored(monkeypatch):
    """``nohup`` ignores SIGHUP on purpose."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals("HUP") as stop:
            send("HUP")
            assert not stop.asked()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_two_signals_in_quick_succession_count_as_one(monkeypatch):
    """``timeout`` signals the process and then its group."""
    ends = []
    monkeypatch.setattr(signals.os, "_exit", ends.append)

    def work() -> None:
        with StopSignals() as stop, stop.postponed():
            send("TERM")
            send("TERM")
            assert not ends
            stop._time -= 2 * signals._SAME_SIGNAL
            send("INT")
            assert ends == [130]

    with pytest.raises(SystemExit) as left:
        work()
    assert left.value.code == 143


def test_workers_may_end_after_a_signal():
    def complain(*_: object) -> None:
        raise RuntimeError("DataLoader worker (pid 1) is killed")

    before = signal.signal(signal.SIGCHLD, complain)
    try:
        with suppress(SystemExit), StopSignals() as stop, stop.postponed():
            send("TERM")
            send("CHLD")
        assert signal.getsignal(signal.SIGCHLD) is complain
    finally:
        signal.signal(signal.SIGCHLD, before)


FORKED = """
import os, signal, sys, time
from nas.runtime.signals import StopSignals
signal.signal(signal.SIGINT, signal.default_int_handler)
with StopSignals("USR1") as stop, stop.postponed():
    child = os.fork()
    if child == 0:
        time.sleep(60)
    time.sleep(0.1)
    for name in ("INT", "USR1"):
        os.kill(child, getattr(signal, f"SIG{name}"))
    time.sleep(0.3)
    print(os.waitpid(child, os.WNOHANG)[0] == 0, stop.asked())
    os.kill(child, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_forked_processes_heed_only_sigterm():
    ended = subprocess.run([sys.executable, "-c", FORKED], env=ENVIRONMENT, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == (f"True False\n{-signal.SIGTERM}\n", "")


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings_are_signals(name):
    assert StopSignals(name).numbers[-1] == getattr(signal, f"SIG{name}")
