import pytest

from nas.graph.provenance import Provenance, Published, provenance_from_dict

FULL = Provenance(
    space="darts+sandglass",
    dataset="cifar10",
    seed=0,
    epoch=50,
    commit="0123456",
    date="2025-01-31",
    source="quark0/darts",
    published_as="DARTS_V2",
    published=(Published(source="a table", dataset="cifar10", test_err=2.76, params_M=3.3), Published(note="x: #y")),
)


def test_only_known_fields_are_written():
    assert Provenance().to_dict() == {}
    assert Provenance(seed=0).to_dict() == {"seed": 0}
    assert FULL.to_dict()["published"][1] == {"note": "x: #y"}


def test_round_trip():
    assert provenance_from_dict(FULL.to_dict(), "f") == FULL


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "origin: a mapping is expected, got 3"),
        ({"sed": 1}, "origin: unknown key 'sed': did you mean seed?"),
        ({"seed": "1"}, "origin.seed: a whole number is expected, got '1'"),
        ({"seed": 1.5}, "origin.seed: a whole number is expected, got 1.5"),
        ({"epoch": True}, "origin.epoch: a whole number is expected, got True"),
        ({"seed": 2**64}, "origin.seed: a whole number is expected"),
        ({"commit": 1234567}, "origin.commit: one line of text is expected (quoted), got 1234567"),
        ({"source": "a\nb"}, "origin.source: one line of text is expected (quoted), got 'a\\nb'"),
        ({"published": {"test_err": 1}}, "origin.published: a list is expected"),
        ({"published": [3]}, "published: a mapping is expected, got 3"),
        ({"published": [{"test_error": 3}]}, "published: unknown key 'test_error': did you mean test_err?"),
        ({"published": [{"test_err": float("nan")}]}, "published.test_err: a number is expected, got nan"),
        ({"published": [{"params_M": "3.3"}]}, "published.params_M: a number is expected, got '3.3'"),
    ],
)
def test_what_is_refused(refused, data, message):
    refused(("cell.yaml", message), provenance_from_dict, data, "cell.yaml")


def test_published_records_only(refused):
    refused("Published records are expected", Provenance, published=[{"test_err": 3}])
