"""Progress of long operations."""

import sys
import time

import pytest

from nas.runtime.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_outside_a_terminal_a_line_every_five_seconds(clock: list[float], capsys: pytest.CaptureFixture) -> None:
    with Progress("reading", 300) as shown:
        for _ in range(12):
            clock[0] += 1
            shown.advance(25)
    assert capsys.readouterr().err.splitlines() == [
        "reading: 125/300 images, 25/s, 7 s left",
        "reading: 250/300 images, 25/s, 2 s left",
        "reading: 300/300 images, 25/s",
    ]


def test_on_a_terminal_one_line_is_rewritten(
    clock: list[float], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("fetching", 2_000_000, "MB", 10**6) as shown:
        for _ in range(2):
            clock[0] += 1
            shown.advance(10**6)
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert "\rfetching: 1/2 MB, 1/s, 1 s left" in output
    assert output.splitlines()[-1].rpartition("\r")[2].startswith("\x1b[Kfetching: 2/2 MB, 1/s")


def test_an_unknown_total_and_zero_time(clock: list[float], capsys: pytest.CaptureFixture) -> None:
    with Progress("fetching", 0, "MB"):
        pass
    assert capsys.readouterr().err == "fetching: 0/? MB\n"  # no rate and no time left before anything is done
