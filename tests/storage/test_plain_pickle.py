"""Pickles as CIFAR is published, and malicious ones."""

import os
import pickle
import struct

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.storage.plain_pickle import read_pickle


class Evil:
    def __reduce__(self):
        return os.system, ("touch hacked",)


def python2_pickle(pixels: bytes) -> bytes:
    """Return a pickle like the published files: Python 2, protocol 2, bytes as text, an array of one row."""
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01K\x01K" + bytes([len(pixels)]) + b"\x86" + kind + b"\x89T" + struct.pack("<i", len(pixels)) + pixels
    return b"\x80\x02}(U\x04data" + array + state + b"tbU\x06labels](K\x06K\x09eu."


def test_pickles_of_python_2():
    pixels = bytes(range(0, 256, 3))
    found = read_pickle(python2_pickle(pixels), "data_batch_1")
    assert found["labels"] == [6, 9]
    assert found["data"].tolist() == [list(pixels)]
    assert found["data"].tolist() == pickle.loads(python2_pickle(pixels), encoding="latin1")["data"].tolist()


@pytest.mark.parametrize("order", ["C", "F"])
def test_pickles_of_python_3(order):
    data = np.asarray(np.arange(6, dtype=np.uint8).reshape(2, 3), order=order)
    for protocol in (3, 4):
        found = read_pickle(pickle.dumps({"data": data, "fine_labels": [1]}, protocol), "x")
        assert found["data"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "content",
    [
        Evil(),
        {"data": Evil()},
        {"data": np.zeros(2)},
        {"data": np.array([Evil()], dtype=object)},
        {"data": print},
        [1],
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_refused_and_no_code_is_run(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="batch: is not plain data"):
        read_pickle(pickle.dumps(content, 4), "batch")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"", b"x", python2_pickle(b"abc")[:-20], b"\x80\x02" + b"]" * 100_000 + b"."])
def test_broken_pickles(data):
    with pytest.raises(InputError, match="batch: is not plain data"):
        read_pickle(data, "batch")


def test_an_array_is_no_larger_than_its_bytes():
    """NumPy would allocate what the first mention of an array asks for."""
    huge = python2_pickle(b"abc").replace(b"ndarray\nK\x00\x85", b"ndarray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85")
    assert read_pickle(huge, "batch")["data"].tolist() == [[97, 98, 99]]
