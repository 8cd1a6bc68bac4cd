"""Checkpoints: intact, exact, and free of code."""

import os
import pickle
import random
import zipfile

import pytest
import torch

from nas.core.errors import InputError
from nas.storage.checkpoint import check_checkpoint, load_checkpoint, save_checkpoint


class Evil:
    def __reduce__(self):
        return os.system, ("touch hacked",)


def test_round_trip(tmp_path):
    state = {
        "weights": torch.randn(3, 4),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "epoch": 2,
        "names": ["a", None],
    }
    save_checkpoint(tmp_path / "new/checkpoint.pt", state)
    loaded = load_checkpoint(tmp_path / "new/checkpoint.pt")
    assert torch.equal(loaded["weights"], state["weights"])
    assert loaded["half"].dtype == torch.bfloat16
    assert (loaded["epoch"], loaded["names"]) == (2, ["a", None])


def test_a_failed_write_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "checkpoint.pt", {"epoch": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"checkpoint\.pt: cannot be written \(No space left on device\)"):
        save_checkpoint(tmp_path / "checkpoint.pt", {"epoch": 2})
    assert load_checkpoint(tmp_path / "checkpoint.pt") == {"epoch": 1}


def test_a_missing_checkpoint(tmp_path):
    for path in (tmp_path / "checkpoint.pt", tmp_path):
        with pytest.raises(InputError, match="no such checkpoint"):
            load_checkpoint(path)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint(part, tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.randn(100)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError, match="not a checkpoint, or cut off"):
        load_checkpoint(path)


def test_any_flipped_bit_is_noticed(tmp_path):
    """In headers, names, padding, tensors, the central directory and the seal."""
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.arange(50.0), "epoch": 1})
    data = path.read_bytes()
    for place in range(len(data)):
        bit = 1 << random.Random(place).randrange(8)
        path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
        for refuse in (load_checkpoint, check_checkpoint):
            with pytest.raises(InputError, match="cut off or altered"):
                refuse(path)


def test_trailing_bytes_are_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"epoch": 1})
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match="altered"):
        load_checkpoint(path)


def test_torch_load_reads_it(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.arange(9.0), "epoch": 1})
    for mmap in (False, True):
        found = torch.load(path, weights_only=True, mmap=mmap)
        assert torch.equal(found["weights"], torch.arange(9.0))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"sha256:")


def test_without_a_seal_the_checksums_of_the_archive_decide(tmp_path):
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

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "open", broken)
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


def test_another_file_of_torch(tmp_path):
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "list.pt")
