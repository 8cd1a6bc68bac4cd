"""Untrusted safetensors files."""

import json
import os
import struct

import pytest
import safetensors.torch
import torch

from nas.core.errors import InputError
from nas.storage.safetensors_file import read_safetensors

ENTRY = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'


def write(path, header: object, data: bytes = bytes(8), length: int | None = None):
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def test_tensors_and_metadata_are_read(tmp_path):
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3), "half": torch.ones(2, dtype=torch.bfloat16)}
    safetensors.torch.save_file(tensors, tmp_path / "a.safetensors", {"blueprint": "{}"})
    loaded, metadata = read_safetensors(tmp_path / "a.safetensors")
    assert metadata == {"blueprint": "{}"}
    assert loaded.keys() == tensors.keys()
    assert all(
        torch.equal(loaded[name], tensors[name]) and loaded[name].dtype == tensors[name].dtype for name in loaded
    )


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("{" + f"{ENTRY},{ENTRY}" + "}", "a name that occurs twice"),
        ('{"__metadata__":{"a":"1"},"__metadata__":{"a":"2"},' + ENTRY + "}", "a name that occurs twice"),
        ('{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "a name that occurs twice"),
        ('{"a":' + "[" * 100_000, ""),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", ""),
        ("[]", "not a table"),
        ("null", "not a table"),
        ("", ""),
        ('{"a": 1}', ""),
        ('{"__metadata__": {"blueprint": 1}}', "not text"),
        ({"a": {"dtype": "F32", "shape": [2] + [1] * 99, "data_offsets": [0, 8]}}, "dimensions"),
        ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, ""),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, ""),
        ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, ""),
        ({"a": {"dtype": "F32", "shape": [2**62, 4, 0], "data_offsets": [0, 8]}}, ""),
        ({f"a{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_001)}, "100,000 tensors"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_headers(header, problem, tmp_path):
    path = write(tmp_path / "a.safetensors", header)
    with pytest.raises(InputError, match=r"a\.safetensors: cannot be read as safetensors \(.*" + problem) as info:
        read_safetensors(path)
    assert str(info.value).isprintable()


@pytest.mark.parametrize("length", [0, 1, 1000, 2**31, 2**63, 2**64 - 1])
def test_header_lengths(length, tmp_path):
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        read_safetensors(write(tmp_path / "a.safetensors", "{" + ENTRY + "}", length=length))


def test_files_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_bytes(b"")
    for name, problem in {"pipe": "regular", "empty": "header", "missing": "No such", ".": "folder"}.items():
        with pytest.raises(InputError, match=problem):
            read_safetensors(tmp_path / name)
