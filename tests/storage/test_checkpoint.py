"""Checkpoints: whole, exact, and without code in them."""

import os
import pickle
import random
import zipfile
from pathlib import Path

import pytest
import torch

from nas.core.errors import InputError
from nas.storage.checkpoint import check_checkpoint, load_checkpoint, save_checkpoint


class Evil:
    def __reduce__(self):
        return os.system, ("touch hacked",)


def test_there_and_back(tmp_path):
    state = {
        "weights": torch.randn(3, 4),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "epoch": 2,
        "names": ["a", None],
    }
    save_checkpoint(tmp_path / "new/checkpoint.pt", state)
    found = load_checkpoint(tmp_path / "new/checkpoint.pt")
    assert torch.equal(found["weights"], state["weights"])
    assert found["half"].dtype == torch.bfloat16
    assert (found["epoch"], found["names"]) == (2, ["a", None])


def test_one_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "checkpoint.pt", {"epoch": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"checkpoint\.pt: cannot be written \(No space left on device\)"):
        save_checkpoint(tmp_path / "checkpoint.pt", {"epoch": 2})
    assert load_checkpoint(tmp_path / "checkpoint.pt") == {"epoch": 1}


def test_missing(tmp_path):
    for path in (tmp_path / "checkpoint.pt", tmp_path):
        with pytest.raises(InputError, match="no such checkpoint"):
            load_checkpoint(path)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_cut_off(part, tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.randn(100)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError, match="not a checkpoint, or cut off"):
        load_checkpoint(path)


def test_every_bit_counts(tmp_path):
    """Headers, names, padding, tensors, the central directory and the seal: no altered byte is read."""
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.arange(50.0), "epoch": 1})
    data = path.read_bytes()
    for place in range(len(data)):
        bit = 1 << random.Random(place).randrange(8)
        path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
        for refuse in (load_checkpoint, check_checkpoint):
            with pytest.raises(InputError, match="cut off or altered"):
                refuse(path)


def test_more_behind_its_end_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"epoch": 1})
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match="altered"):
        load_checkpoint(path)


def test_torch_reads_it_as_its_own(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.arange(9.0), "epoch": 1})
    for mmap in (False, True):
        found = torch.load(path, weights_only=True, mmap=mmap)
        assert torch.equal(found["weights"], torch.arange(9.0))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"sha256:")


def test_without_a_seal_the_checksums_of_the_archive_must_do(tmp_path):
    path = tmp_path / "plain.pt"
    torch.save({"weights": torch.arange(9.0)}, path)
    assert torch.equal(load_checkpoint(path)["weights"], torch.arange(9.0))
    data = path.read_bytes()
    first = data.index(torch.arange(9.0).numpy().tobytes())
    path.write_bytes(data[:first] + b"\1" + data[first + 1 :])
    with pytest.raises(InputError, match="altered"):
        load_checkpoint(path)


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"epoch": 1})

    def broken(_: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(InputError, match=r"checkpoint\.pt: cannot be read \(Input/output error\)"):
        load_checkpoint(path)


def test_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint.pt"
    torch.save({"evil": Evil()}, path)
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(path)
    assert not (tmp_path / "hacked").exists()


def test_something_else_that_torch_saved(tmp_path):
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "list.pt")
