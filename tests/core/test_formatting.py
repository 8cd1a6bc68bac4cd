from pathlib import Path

from nas.core.formatting import shown


def test_one_line_of_bounded_length():
    assert shown("a\nb") == "'a\\nb'"
    assert shown(Path("a/b.yaml")) == "a/b.yaml"
    assert shown(Path("a\nb.yaml")) == "'a\\nb.yaml'"
    assert len(shown("x" * 10_000)) == 80


def test_numbers_that_python_does_not_write():
    assert shown([16**5000]) == "a number of thousands of digits"
