"""User-supplied values in error messages."""

from pathlib import Path

from nas.core.formatting import format_value


def test_one_line_of_bounded_length():
    assert format_value("a\nb") == "'a\\nb'"
    assert format_value(Path("a/b.yaml")) == "a/b.yaml"
    assert format_value(Path("a\nb.yaml")) == "'a\\nb.yaml'"
    assert len(format_value("x" * 10_000)) == 80


def test_numbers_that_python_refuses_to_print():
    assert format_value([16**5000]) == "a number of thousands of digits"
