"""Bounded reading of untrusted YAML."""

import pytest

from nas.storage.yaml_file import MAX_DEPTH, parse_mapping, read_mapping


def test_plain_data_are_read():
    text = "a: 1\nb: [x, 2.5, yes, ~]\n2: {c: 'd'}\n"
    assert parse_mapping(text, "f") == {"a": 1, "b": ["x", 2.5, True, None], 2: {"c": "d"}}


def test_unambiguous_numbers_are_read():
    text = "[0, 10, -1, 0x10, 0b11, 1_000, 0.5, 1.5e+3, '010', \"1:30\", 08, 1h]"
    assert parse_mapping(f"a: {text}", "f") == {"a": [0, 10, -1, 16, 3, 1000, 0.5, 1500.0, "010", "1:30", "08", "1h"]}


def test_dates_stay_strings():
    assert parse_mapping("date: 2025-01-31", "f") == {"date": "2025-01-31"}


def test_depth_up_to_the_limit():
    parse_mapping("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), "f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a YAML mapping (key: value) is expected, got NoneType"),
        ("[1, 2]", "a YAML mapping (key: value) is expected, got list"),
        ("a: [1", "line 1: while parsing a flow sequence"),
        ("a: &x [1]\nb: *x", "line 2: aliases (*name) are not allowed"),
        ("a: !!python/object/apply:os.getcwd []", "line 1: tags (!name) are not allowed"),
        ("a: !!int ''", "tags (!name) are not allowed"),
        ("a: 1\nb: 2\na: 3", "line 3: duplicate key 'a'"),
        ("2: x\n0x2: y", "line 2: duplicate key 2"),
        ("[a]: 1", "['a'] cannot be a key"),
        ("yes: 1", "True cannot be a key"),
        ("a: " + "[" * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("a: " + "9" * 5000, "line 1: a number of more than 64 characters"),
        ("a: 1:" + "59:" * 300_000 + "1", "line 1: a number of more than 64 characters"),
        ("a: 1:" + "00:" * 300 + "1.0", "line 1: a number of more than 64 characters"),
        ('a: "\\UFFFFFFFF"', "is not YAML"),
        ("a: [" + "1," * 400_000 + "1]", "more than 20,000 words"),
        ("a: 0b_", "is not YAML"),
        ("a: 1\nb: 010", "line 2: 010 means another number"),
        ("a: -07", "-07 means another number"),
        ("a: [1:30]", "line 1: 1:30 means another number"),
        ("a: 1:30.5", "1:30.5 means another number"),
        ("010: a", "010 means another number"),
        ("a: 1\n--- \nb: 1", "another document"),
        ("a: \x07", "is not YAML (unacceptable character"),
        ("a: " + "x" * 1_000_000, "is larger than 1,000,000 characters"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_refused_text(refused, text, message):
    refused(("space.yaml", message), parse_mapping, text, "space.yaml")


def test_alias_bomb(refused):
    lines = ["a: &a [x, x]"] + [
        f"{new}: &{new} [*{old}, *{old}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    refused("aliases", parse_mapping, "\n".join(lines), "bomb.yaml")


def test_files_that_cannot_be_read(refused, tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"a" * 1_000_001)
    refused(("absent.yaml", "No such file"), read_mapping, tmp_path / "absent.yaml")
    refused(("binary.yaml", "not a text file"), read_mapping, binary)
    refused(("large.yaml", "larger than"), read_mapping, large)
    refused("is a folder", read_mapping, tmp_path)
