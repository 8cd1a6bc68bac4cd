"""Weights from untrusted files: plain tensors, no larger than the file."""

import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nas.core.errors import InputError
from nas.models.factory import create_model
from nas.models.load_weights import read_weights
from nas.storage.checkpoint import save_checkpoint


def test_they_are_read(tmp_path):
    weights = {"a": torch.randn(3)}
    save_checkpoint(tmp_path / "a.pt", {"model": weights})
    save_file(weights, tmp_path / "a.safetensors")
    for path in tmp_path.iterdir():
        assert torch.equal(read_weights(path).tensors["a"], weights["a"])


@pytest.mark.parametrize("model", [None, [1], {"a": 1}, {1: torch.ones(1)}, {"a": {"b": torch.ones(1)}}])
def test_what_are_no_weights(model, tmp_path):
    save_checkpoint(tmp_path / "a.pt", {"model": model})
    with pytest.raises(InputError, match=r"a\.pt: contains no network weights"):
        read_weights(tmp_path / "a.pt")


def test_one_number_does_not_stand_for_many(tmp_path):
    """A tensor of 4 TB in a file of a kilobyte, and many that share the same bytes."""
    shared = torch.ones(100_000)
    many, two = ({str(i): shared for i in range(number)} for number in (100, 2))
    for model in ({"a": torch.ones(1).expand(2**20, 2**20)}, many, two):
        save_checkpoint(tmp_path / "a.pt", {"model": model})
        with pytest.raises(InputError, match="larger than the file"):
            read_weights(tmp_path / "a.pt")


def header(content: object, length: int | None = None) -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


@pytest.mark.parametrize(
    "data",
    [
        header({}, length=2**63),
        header({}, length=90_000_000),
        header({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
        header({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}}),
        header(b"[" * 100_000),
    ],
)
def test_a_header_that_asks_for_much(data, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        read_weights(tmp_path / "a.safetensors")


def test_a_pipe_and_a_device_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "zero.safetensors").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(InputError, match="not a regular file"):
            read_weights(tmp_path / f"{name}.safetensors")


def test_names_cannot_write_on_the_terminal(tmp_path: Path):
    save_file({"\x1b]0;mine\x07": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(InputError) as caught:
        create_model("darts_v2", channels=2, cells=3, pretrained=tmp_path / "a.safetensors")
    assert str(caught.value).isprintable()
