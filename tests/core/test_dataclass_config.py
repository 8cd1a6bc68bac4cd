"""Frozen dataclasses from plain data."""

from dataclasses import dataclass

import pytest

from nas.core.dataclass_config import build, dotted_keys
from nas.core.errors import InputError


@dataclass(frozen=True)
class Inner:
    rate: float
    name: str = "plain"


@dataclass(frozen=True)
class Outer:
    count: int
    flag: bool
    inner: Inner
    limit: int | None = None
    sizes: tuple[int, ...] = ()


GOOD = {"count": 2, "flag": True, "inner": {"rate": 1}}


def test_types_are_kept_and_whole_numbers_become_floats():
    built = build(Outer, GOOD | {"sizes": [1, 2]})
    assert built == Outer(2, True, Inner(1.0), None, (1, 2))
    assert type(built.inner.rate) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cuont": 1}, "unknown key cuont: did you mean count?"),
        ({"inner": {"rate": 1, "nmae": "x"}}, "unknown key inner.nmae: did you mean name?"),
        ({"inner": {}}, "inner.rate is missing"),
        ({"inner": 3}, "inner=3: is a group of settings; allowed: inner.<name>=<value>"),
        ({"inner": None}, "inner=None: is a group of settings"),
        ({"count": True}, "count=True: must be a whole number"),
        ({"count": 2.0}, "count=2.0: must be a whole number"),
        ({"count": "2"}, "count=2: must be a whole number"),
        ({"count": None}, "count=null: must be a whole number"),
        ({"count": 2**63}, "count=9223372036854775808: must be below 2**63"),
        ({"count": 10**5000}, "count=a number of thousands of digits: must be below 2**63"),
        ({"inner": {"rate": 10**400}}, "must be below 2**63"),
        ({"flag": 1}, "flag=1: must be true or false"),
        ({"limit": "x"}, "limit=x: must be a whole number or null"),
        ({"sizes": 3}, "sizes=3: must be a list"),
        ({"sizes": [1, "x"]}, "sizes=x: must be a whole number"),
        ({3: 4}, "unknown key 3"),
    ],
)
def test_invalid_data(change, message):
    with pytest.raises(InputError) as info:
        build(Outer, GOOD | change)
    assert message in str(info.value)


def test_dotted_keys():
    assert dotted_keys(Outer) == ["count", "flag", "inner", "inner.rate", "inner.name", "limit", "sizes"]
