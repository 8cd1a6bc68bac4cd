"""Values in messages."""

from pathlib import Path

import pytest

from nas.core.formatting import format_count, format_value


def test_one_line_of_bounded_length():
    assert format_value("a\nb") == "'a\\nb'"
    assert format_value(Path("a/b.yaml")) == "a/b.yaml"
    assert format_value(Path("a\nb.yaml")) == "'a\\nb.yaml'"
    assert len(format_value("x" * 10_000)) == 80


def test_numbers_that_python_refuses_to_print():
    assert format_value([16**5000]) == "a number of thousands of digits"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((0, "0"), (999, "999"), (1000, "1.00 k"), (9_994, "9.99 k"), (9_995, "10.0 k"), (99_950, "100 k")),
        *((999_499, "999 k"), (999_500, "1.00 M"), (3_349_342, "3.35 M"), (528_123_456, "528 M")),
        (12_345_678_901, "12.3 G"),
    ],
)
def test_counts_have_three_digits(number, text):
    assert format_count(number) == text
