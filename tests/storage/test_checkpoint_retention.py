"""Checkpoint retention: in order, intact at every moment, skipping damaged ones."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from nas.core.errors import InputError
from nas.storage.checkpoint import load_checkpoint
from nas.storage.checkpoint_retention import newest_valid_checkpoint, promote_checkpoint, save_with_retention


def numbers(folder: Path) -> dict[str, int]:
    return {path.name: load_checkpoint(path)["number"] for path in sorted(folder.glob("*.pt"))}


def save(folder: Path, *states: int, keep: int = 2) -> Path:
    for number in states:
        save_with_retention(folder / "checkpoint.pt", {"number": number}, keep)
    return folder / "checkpoint.pt"


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("keep", "names"),
    [
        (1, {"checkpoint.pt": 4}),
        (2, {"checkpoint.pt": 4, "checkpoint-1.pt": 3}),
        (3, {"checkpoint.pt": 4, "checkpoint-1.pt": 3, "checkpoint-2.pt": 2}),
        (9, {"checkpoint.pt": 4, "checkpoint-1.pt": 3, "checkpoint-2.pt": 2, "checkpoint-3.pt": 1}),
    ],
)
def test_the_last_checkpoints_are_kept(keep, names, tmp_path):
    save(tmp_path, 1, 2, 3, 4, keep=keep)
    assert numbers(tmp_path) == names
    assert not list(tmp_path.glob(".*"))


def test_the_number_kept_may_change(tmp_path):
    save(tmp_path, *range(12), keep=12)
    save(tmp_path, 12, keep=2)
    assert numbers(tmp_path) == {"checkpoint.pt": 12, "checkpoint-1.pt": 11}
    save(tmp_path, 13, keep=3)
    assert numbers(tmp_path) == {"checkpoint.pt": 13, "checkpoint-1.pt": 12, "checkpoint-2.pt": 11}


class Killed(BaseException):
    """Simulates a kill: nothing that only the process itself would clean up is cleaned up."""


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_kill_between_any_two_renames_leaves_the_newest_or_the_previous_one(keep, tmp_path, monkeypatch):
    calls = {"left": 0}

    def counted(change):
        def run(*arguments, **settings):
            calls["left"] -= 1
            if calls["left"] < 0:
                raise Killed
            return change(*arguments, **settings)

        return run

    for owner, name in ((os, "link"), (Path, "replace"), (Path, "unlink")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    outcomes = set()
    for moment in range(10):
        folder = tmp_path / str(moment)
        calls["left"] = 10**6
        save(folder, 1, 2, 3, keep=keep)
        calls["left"] = moment
        with suppress(Killed):
            save(folder, 4, keep=keep)
        calls["left"] = 10**6
        assert newest_valid_checkpoint(folder / "checkpoint.pt") == folder / "checkpoint.pt"
        outcomes.add(load_checkpoint(folder / "checkpoint.pt")["number"])
        save(folder, 5, 6, keep=keep)
        assert numbers(folder)["checkpoint.pt"] == 6
        assert keep == 1 or numbers(folder)["checkpoint-1.pt"] == 5
    assert outcomes == {3, 4}


def test_without_hard_links_one_is_still_intact(tmp_path, monkeypatch, capsys):
    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refused)
    path = save(tmp_path, 1, 2, 3)
    assert numbers(tmp_path) == {"checkpoint.pt": 3, "checkpoint-1.pt": 2}
    path.unlink()  # as after a kill between two changes of names
    assert newest_valid_checkpoint(path) == tmp_path / "checkpoint-1.pt"
    assert "checkpoint.pt: is missing; checkpoint-1.pt is used instead" in capsys.readouterr().err


def test_no_checkpoint_and_one(tmp_path, capsys):
    assert newest_valid_checkpoint(tmp_path / "checkpoint.pt") is None
    assert newest_valid_checkpoint(tmp_path / "nowhere/checkpoint.pt") is None
    path = save(tmp_path, 1)
    assert newest_valid_checkpoint(path) == path
    assert capsys.readouterr().err == ""


def test_damaged_ones_are_skipped_with_one_line_and_set_aside(tmp_path, capsys):
    path = save(tmp_path, 1, 2, 3, keep=3)
    damage(path)
    (tmp_path / "checkpoint-1.pt").write_bytes(b"")
    chosen = newest_valid_checkpoint(path)
    assert chosen == tmp_path / "checkpoint-2.pt"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {path}: not a checkpoint, or cut off or altered")
    assert f"{tmp_path}/checkpoint-1.pt: not a checkpoint" in line
    assert line.endswith("; checkpoint-2.pt is used instead")
    promote_checkpoint(chosen, path)
    assert numbers(tmp_path) == {"checkpoint.pt": 1}
    save(tmp_path, 4, keep=3)
    assert numbers(tmp_path) == {"checkpoint.pt": 4, "checkpoint-1.pt": 1}
    assert sorted(p.name for p in tmp_path.glob("*.damaged")) == ["checkpoint-1.pt.damaged", "checkpoint.pt.damaged"]


def test_no_checkpoint_is_intact(tmp_path):
    path = save(tmp_path, 1, 2)
    damage(path)
    damage(tmp_path / "checkpoint-1.pt")
    with pytest.raises(InputError, match=r"checkpoint\.pt: not a checkpoint.*; .*checkpoint-1\.pt: not a checkpoint"):
        newest_valid_checkpoint(path)


def test_a_full_disk_renames_nothing(tmp_path, monkeypatch):
    save(tmp_path, 1, 2)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        save(tmp_path, 3)
    assert numbers(tmp_path) == {"checkpoint.pt": 2, "checkpoint-1.pt": 1}
