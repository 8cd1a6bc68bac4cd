"""Bounded reading of untrusted JSON."""

import os

import pytest

from nas.core.errors import InputError
from nas.storage.json_file import parse_json, read_json


def test_data_are_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1, null]}')
    assert read_json(tmp_path / "a.json") == {"a": [1, None]}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 5000])
def test_text_that_is_not_json(text):
    with pytest.raises(InputError, match=r"a\.json: is not JSON"):
        parse_json(text, "a.json")


def test_large_and_endless_files(tmp_path):
    (tmp_path / "a.json").write_text(" " * 1_000_001)
    with pytest.raises(InputError, match="larger than"):
        read_json(tmp_path / "a.json")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="not a regular file"):
        read_json(tmp_path / "pipe.json")
