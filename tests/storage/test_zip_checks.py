"""Untrusted archives: small files that demand much memory, and names that lead to code."""

import os
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from nas.core.errors import InputError
from nas.storage.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.arange(4.0), "epoch": 1})
    return path


def rewrite(path: Path, ending: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """Replace the content of the member whose name has this ending, and compress all members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, old in members.items():
            archive.writestr(name, content if name.endswith(ending) else old)


def refused(path: Path) -> None:
    with pytest.raises(InputError, match=r"checkpoint\.pt: not a checkpoint"):
        load_checkpoint(path)


def plan(call: bytes) -> bytes:
    """A pickle of ``{"a": <call>}``."""
    return b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s."


@pytest.mark.parametrize(
    "call",
    [
        b"c__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\x00\x02\x85R",  # 8 GB, which torch would hand out
        b"ctorch\nFloatTensor\nJ\x00\x00\x00\x40\x85R",  # 4 GB
        b"cos\nsystem\nX\x04\x00\x00\x00true\x85R",
        b"ctorch._utils\n_rebuild_sparse_tensor\n",
    ],
)
def test_names_of_anything_but_tensors_are_refused(call, path):
    rewrite(path, "data.pkl", plan(call))
    refused(path)


def test_a_storage_that_claims_to_be_larger(path):
    with zipfile.ZipFile(path) as archive:
        content = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    rewrite(path, "data.pkl", content.replace(b"K\x04tq", b"J\x00\x00\x00\x40tq"))
    refused(path)


def test_an_expanded_number(tmp_path):
    """An expanded view takes no memory until it is copied."""
    save_checkpoint(tmp_path / "checkpoint.pt", {"weights": torch.zeros(1).expand(10**6)})
    refused(tmp_path / "checkpoint.pt")


def test_a_file_of_absurd_size(tmp_path):
    with (tmp_path / "checkpoint.pt").open("wb") as file:
        file.truncate(10**11)  # a sparse file
    with pytest.raises(InputError, match=r"checkpoint\.pt: is larger than 16,000,000,000 bytes"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_a_compressed_archive(path):
    """2 MB in the file, 2 GB in memory."""
    rewrite(path, "data/0", bytes(100_000_000), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000
    refused(path)


def test_members_that_overlap(path):
    """All entries of the directory point to the same bytes, which adds up to more than the file."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/1", bytes(100_000))
        member = archive.getinfo("archive/data/1")
        for number in range(2, 10):
            copy = zipfile.ZipInfo(f"archive/data/{number}")
            copy.header_offset, copy.CRC = member.header_offset, member.CRC
            copy.compress_size = copy.file_size = member.file_size
            archive.filelist.append(copy)
    refused(path)


def test_a_declared_size_beyond_the_file(path):
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\1\2")
    data[entry + 20 : entry + 28] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(data)
    refused(path)


def test_two_members_of_one_name(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("checkpoint/data/0", bytes(16))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("checkpoint/data/0", bytes(16))
    refused(path)


def test_a_pipe_and_a_device(path, tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    for place in (tmp_path / "pipe.pt", Path("/dev/zero")):
        with pytest.raises(InputError, match="no such checkpoint"):
            load_checkpoint(place)
