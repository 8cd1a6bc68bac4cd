"""Registry of named, pluggable things."""

import pytest

from nas.core.errors import InputError
from nas.core.registry import Registry, nearest


@pytest.fixture
def registry():
    made: Registry[int] = Registry("thing")
    made.register("one", 1)
    made.register("two", 2)
    made.register_family("times_{n}", r"times_(?P<n>\d+)", lambda match: 10 * int(match["n"]))
    return made


def test_names_keep_the_order_of_registration(registry):
    assert list(registry) == ["one", "two"]
    assert len(registry) == 2
    assert registry["two"] == 2
    assert "one" in registry
    assert "three" not in registry


def test_a_family_matches_its_pattern(registry):
    assert registry["times_7"] == 70
    assert "times_7" in registry
    assert "times_x" not in registry
    assert "times_٣" not in registry  # a digit to str.isdigit and int
    assert registry.forms == ["times_{n}"]


def test_an_exact_name_wins_over_a_family(registry):
    registry.register("times_3", -1)
    assert registry["times_3"] == -1
    assert registry["times_4"] == 40


def test_duplicates_are_refused(registry):
    with pytest.raises(InputError, match="thing 'one' is registered already"):
        registry.register("one", 3)
    assert registry["one"] == 1


@pytest.mark.parametrize("name", ["", "1st", "_x", "a-b", "a b", "a.b", "a+b", "ä", "one\n", "../x"])
def test_malformed_names_are_refused(name, registry):
    with pytest.raises(InputError, match="a name is letters, digits and _, beginning with a letter"):
        registry.register(name, 3)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("onee", "unknown thing 'onee': did you mean one?"),
        ("times_x", "did you mean times_{n}?"),
        ("zebra", "known are one, two, times_{n}"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(name, answer, registry):
    with pytest.raises(InputError) as info:
        registry[name]
    assert answer in str(info.value)


def test_nearest_in_an_empty_registry():
    assert nearest("x", []) == "none is known"
