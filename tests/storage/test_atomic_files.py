"""Atomic writing and bounded reading, with one-line errors."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.core.errors import InputError
from nas.storage.atomic_files import MAX_TEXT_BYTES, error_reason, open_atomic, read_text, write_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a/b/file"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_old_file(error, tmp_path):
    path = tmp_path / "file"
    write_file(path, b"old")

    def write_half() -> None:
        with open_atomic(path) as file:
            file.write(b"ne")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_reader_sees_the_old_file_until_the_end(tmp_path):
    path = tmp_path / "file"
    write_file(path, b"old")
    with open_atomic(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_data_reach_the_disk_before_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (calls.append("replace"), replace(self, to)))
    write_file(tmp_path / "file", b"new")
    assert calls == ["fsync", "replace", "fsync"]  # the last one is the folder's


@pytest.mark.parametrize("owner", [(os, "fsync"), (Path, "replace")])
def test_a_full_disk(owner, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    write_file(path, b"old")
    monkeypatch.setattr(*owner, full)
    with pytest.raises(InputError, match=r"file: cannot be written \(No space left on device\)$"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


LIMITED = """
import resource, signal, sys
from pathlib import Path
from nas.core.errors import InputError
from nas.storage.atomic_files import write_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
write_file(Path("file"), b"o" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    write_file(Path("file"), b"n" * 100_000)
except InputError as error:
    print(error)
"""


def test_a_file_size_limit(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert ended.stdout == "file: cannot be written (File too large)\n"
    assert (tmp_path / "file").read_bytes() == b"o" * 1000
    assert names(tmp_path) == ["file"]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
ENDLESS = """
from itertools import count
from pathlib import Path
from nas.storage.atomic_files import write_file
for number in count():
    write_file(Path("file"), str(number % 10).encode() * 300_000)
"""


def test_a_kill_at_any_moment_leaves_an_intact_file(tmp_path):
    for pause in (0.0, 0.003, 0.011, 0.029):
        with subprocess.Popen([sys.executable, "-c", ENDLESS], cwd=tmp_path, env=ENVIRONMENT) as process:
            while not (tmp_path / "file").exists():
                time.sleep(0.001)
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        data = (tmp_path / "file").read_bytes()
        assert data == data[:1] * 300_000
        (tmp_path / "file").unlink()


@pytest.mark.parametrize("place", ["folder", "file/below", "x" * 300, "nul\0byte"])
def test_paths_that_cannot_be_written(place, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written") as info:
        write_file(tmp_path / place, b"")
    assert str(info.value).isprintable()
    assert names(tmp_path) == ["file", "folder"]


def test_text_is_read(tmp_path):
    (tmp_path / "plain").write_text("ä\n", encoding="utf-8")
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfa")
    assert read_text(tmp_path / "plain") == "ä\n"
    assert read_text(tmp_path / "marked") == "a"


def test_files_that_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"\xe4")
    (tmp_path / "large").write_bytes(b" " * (MAX_TEXT_BYTES + 1))
    expected = {
        ".": "is a folder",
        "pipe": "is not a regular file",
        "latin": "is not a text file",
        "large": "is larger than 1,000,000 bytes",
        "missing": r"cannot be read \(No such file or directory\)",
        "nul\0byte": "cannot be read",
    }
    for name, message in expected.items():
        with pytest.raises(InputError, match=message) as info:
            read_text(tmp_path / name)
        assert str(info.value).isprintable()


def test_error_reason():
    assert error_reason(OSError(errno.EACCES, "Permission denied")) == "Permission denied"
    assert error_reason(OSError("plain")) == "plain"
    assert error_reason(ValueError("plain")) == "plain"
