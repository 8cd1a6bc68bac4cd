"""Fingerprints: digests of files and of Python files with their local imports, and the parts that changed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nas.storage.fingerprint import changed_parts, file_digest, source_fingerprint

Refused = Callable[..., None]


@pytest.mark.parametrize(
    ("stored", "current", "accepted", "expected"),
    [
        ({"a.b": "1"}, {"a.b": "1"}, (), []),
        ({"a.b": "1", "c": "1"}, {"a.b": "2", "c": "2"}, (), ["a.b", "c"]),
        ({"b": "1"}, {"a": "1"}, (), ["a", "b"]),
        ({"a.b": "1", "c": "1"}, {"a.b": "2", "c": "2"}, ("a",), ["c"]),
        ({"a.b": "1", "a.c": "1"}, {"a.b": "2", "a.c": "2"}, ("a.b",), ["a.c"]),
        ({"data.train.x": "1", "data.test.x": "1"}, {}, ("data.train",), ["data.test.x"]),
        ({"ab": "1"}, {"ab": "2"}, ("a",), ["ab"]),
    ],
)
def test_changed_parts(stored: dict, current: dict, accepted: tuple, expected: list) -> None:
    assert changed_parts(stored, current, accepted) == expected


def test_file_digest_is_the_sha256_of_the_content(tmp_path: Path) -> None:
    for content in (b"", b"x", bytes(range(256)) * 5000):
        (tmp_path / "file").write_bytes(content)
        assert file_digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_only_regular_files_have_a_digest(tmp_path: Path, refused: Refused) -> None:
    refused(("absent", "cannot be read (No such file"), file_digest, tmp_path / "absent")
    refused("is a folder", file_digest, tmp_path)
    os.mkfifo(tmp_path / "pipe")
    refused("is not a regular file", file_digest, tmp_path / "pipe")
    refused("cannot be read", file_digest, Path("a\0b"))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Return a folder of an operator file and of local modules, some of which it imports."""
    folder = tmp_path / "sources"
    (folder / "blocks" / "deep").mkdir(parents=True)
    (folder / "nas").mkdir()
    texts = {
        "my_ops.py": "import os, torch, nas\nimport helpers\ndef load():\n    from blocks import conv, missing\n",
        "helpers.py": "import my_ops\nimport broken",
        "broken.py": "not Python: '\\d'",
        "unused.py": "",
        "blocks/__init__.py": "",
        "blocks/conv.py": "from . import pool\nfrom .deep.norm import *\nfrom ..outside import x\nfrom .... import y",
        "blocks/pool.py": "",
        "blocks/unused.py": "",
        "blocks/deep/norm.py": "import helpers",
        "outside.py": "",
        "nas/__init__.py": "",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


IMPORTED = [
    "helpers.py", "broken.py", "blocks/__init__.py", "blocks/conv.py", "blocks/pool.py", "blocks/deep/norm.py",
    "outside.py",
]  # fmt: skip


def test_local_imports_are_found_recursively(sources: Path) -> None:
    fingerprint = source_fingerprint(sources / "my_ops.py")
    assert set(fingerprint) == {"ops", *(f"ops.{name}" for name in IMPORTED)}
    assert fingerprint["ops"] == file_digest(sources / "my_ops.py")
    assert fingerprint["ops.blocks/conv.py"] == file_digest(sources / "blocks" / "conv.py")


@pytest.mark.parametrize("name", ["my_ops.py", *IMPORTED, "unused.py", "blocks/unused.py", "nas/__init__.py"])
def test_a_changed_source_changes_its_own_part(sources: Path, name: str) -> None:
    before = source_fingerprint(sources / "my_ops.py")
    with (sources / name).open("a") as file:
        file.write("\n# changed")
    expected = {"my_ops.py": ["ops"]} | {module: [f"ops.{module}"] for module in IMPORTED}
    assert changed_parts(before, source_fingerprint(sources / "my_ops.py")) == expected.get(name, [])


def test_moving_the_folder_changes_nothing(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = source_fingerprint(sources / "my_ops.py")
    moved = sources.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    assert source_fingerprint("my_ops.py") == before


def test_a_missing_source_is_refused(tmp_path: Path, refused: Refused) -> None:
    refused(("my_ops.py", "cannot be read"), source_fingerprint, tmp_path / "my_ops.py")
