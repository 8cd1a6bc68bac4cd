"""A folder belongs to one process at a time, and a dead process holds no lock."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from nas.core.errors import InputError
from nas.core.run_files import LOCK
from nas.runtime import lock
from nas.runtime.lock import folder_lock

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
HOLD = """
import os, sys, time
from pathlib import Path
from nas.runtime.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    if len(sys.argv) > 2 and os.fork() == 0:  # like a data loader worker, which outlives a killed parent
        time.sleep(60)
    print("held", os.getpid(), flush=True)
    sys.stdin.read()
"""


def held_by(folder: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-c", HOLD, str(folder), *more]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline().startswith("held")
    return process


def end(process: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def write(folder: Path, pid: int, host: str) -> None:
    (folder / LOCK).write_text(json.dumps({"pid": pid, "host": host, "since": "2026-01-01T00:00:00+00:00"}))


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_a_held_lock_is_refused_with_process_host_and_time_until_it_is_released(tmp_path):
    process = held_by(tmp_path)
    with pytest.raises(InputError) as info, folder_lock(tmp_path):
        pass
    text = str(info.value)
    assert f"process {process.pid} on '{socket.gethostname()}' has worked in it since '20" in text
    process.communicate("")
    assert process.returncode == 0
    assert not (tmp_path / LOCK).exists()
    with folder_lock(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [InputError, KeyboardInterrupt])
def test_an_error_releases_it(error, tmp_path):
    with pytest.raises(error), folder_lock(tmp_path):
        raise error
    with folder_lock(tmp_path):
        pass


def test_it_holds_within_one_process_too(tmp_path):
    with folder_lock(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()} on"), folder_lock(tmp_path):
        pass


@pytest.mark.parametrize("child", [[], ["with a child"]])
def test_a_killed_holder_loses_it_even_if_its_children_live(child, tmp_path):
    process = held_by(tmp_path, *child)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / LOCK).exists()
    with folder_lock(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    end(process)


def test_a_lock_of_another_machine_stays_until_the_file_is_deleted(tmp_path):
    write(tmp_path, 1, "another-machine")
    message = f"'another-machine'.*if that machine is gone, delete {tmp_path}/lock"
    with pytest.raises(InputError, match=message), folder_lock(tmp_path):
        pass
    (tmp_path / LOCK).unlink()
    with folder_lock(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"pid": 1}', '{"pid": "x", "host": "h", "since": ""}'])
def test_a_lock_file_without_a_holder_is_free(text, tmp_path):
    (tmp_path / LOCK).write_text(text)
    with folder_lock(tmp_path):
        pass


def no_flock(*_: object) -> None:
    raise OSError(37, "No locks available")


@pytest.mark.skipif(lock.fcntl is None, reason="no POSIX system")
def test_without_flock_the_process_id_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(lock.fcntl, "flock", no_flock)
    host = socket.gethostname()
    write(tmp_path, os.getppid(), host)
    with pytest.raises(InputError, match=f"process {os.getppid()} on"), folder_lock(tmp_path):
        pass
    write(tmp_path, dead_pid(), host)
    with folder_lock(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()} on"), folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flock", [True, False])
def test_one_of_many_concurrent_threads_gets_it(flock, tmp_path, monkeypatch):
    if not flock:
        monkeypatch.setattr(lock.fcntl, "flock", no_flock)
    inside, most, refused = [], [], []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(30):
            try:
                with folder_lock(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except InputError:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most
    assert max(most) == 1


def test_a_lock_file_just_removed_by_its_holder_is_taken_anew(tmp_path, monkeypatch):
    take, calls = lock._flock, []

    def left_behind(descriptor: int) -> bool | None:
        calls.append(descriptor)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()
        return take(descriptor)

    monkeypatch.setattr(lock, "_flock", left_behind)
    with folder_lock(tmp_path), pytest.raises(InputError, match="has worked in it"), folder_lock(tmp_path):
        pass
    assert len(calls) == 3


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="lock: cannot be written"), folder_lock(tmp_path / "nowhere"):
        pass


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to])
def test_a_link_is_refused_and_its_target_is_unchanged(make, tmp_path):
    target = tmp_path / "thesis.tex"
    target.write_text("mine")
    (tmp_path / "run").mkdir()
    make(tmp_path / "run" / LOCK, target)
    with pytest.raises(InputError, match=r"lock: is .*; delete it"), folder_lock(tmp_path / "run"):
        pass
    assert target.read_text() == "mine"
    assert (tmp_path / "run" / LOCK).exists()


def test_a_dangling_link_creates_no_file(tmp_path):
    (tmp_path / LOCK).symlink_to(tmp_path / "created")
    with pytest.raises(InputError, match="is a link"), folder_lock(tmp_path):
        pass
    assert not (tmp_path / "created").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_is_refused_without_waiting(make, tmp_path):
    make(tmp_path / LOCK)
    message = r"lock: (is not a plain file|cannot be written \(Is a directory\))"
    with pytest.raises(InputError, match=message), folder_lock(tmp_path):
        pass


@pytest.mark.parametrize("text", ["[" * 900, '{"pid": 1e400, "host": "h", "since": ""}', '{"pid": 9' + "9" * 400])
def test_malicious_contents_name_no_holder(text, tmp_path):
    (tmp_path / LOCK).write_text(text)
    with folder_lock(tmp_path):
        pass
