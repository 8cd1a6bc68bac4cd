"""Checkpoints: whole, exact, and without code in them."""

import os
import pickle

import pytest
import torch

from nas.core.checkpoint import load_checkpoint, save_checkpoint
from nas.core.errors import InputError


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


def test_altered_anywhere_it_is_refused_or_the_same(tmp_path):
    """A flipped bit of a weight too, which torch itself would take."""
    path, weights = tmp_path / "checkpoint.pt", torch.arange(200.0)
    save_checkpoint(path, {"weights": weights, "epoch": 1})
    data = path.read_bytes()
    refused = 0
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            found = load_checkpoint(path)
        except InputError:
            refused += 1
        else:
            assert found["epoch"] == 1
            assert torch.equal(found["weights"], weights)
    first = data.index(weights.numpy().tobytes())
    path.write_bytes(data[:first] + b"\1" + data[first + 1 :])
    with pytest.raises(InputError, match="altered"):
        load_checkpoint(path)
    assert refused > 100


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
