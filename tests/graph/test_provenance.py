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
        (3, "origin: expected a mapping, got 3"),
        ({"sed": 1}, "origin: unknown key 'sed': did you mean seed?"),
        ({"seed": "1"}, "origin.seed: expected a whole number, got '1'"),
        ({"seed": 1.5}, "origin.seed: expected a whole number, got 1.5"),
        ({"epoch": True}, "origin.epoch: expected a whole number, got True"),
        ({"seed": 2**64}, "origin.seed: expected a whole number"),
        ({"commit": 1234567}, "origin.commit: expected one line of text (quoted), got 1234567"),
        ({"source": "a\nb"}, "origin.source: expected one line of text (quoted), got 'a\\nb'"),
        ({"published": {"test_err": 1}}, "origin.published: expected a list"),
        ({"published": [3]}, "published: expected a mapping, got 3"),
        ({"published": [{"test_error": 3}]}, "published: unknown key 'test_error': did you mean test_err?"),
        ({"published": [{"test_err": float("nan")}]}, "published.test_err: expected a number, got nan"),
        ({"published": [{"params_M": "3.3"}]}, "published.params_M: expected a number, got '3.3'"),
    ],
)
def test_invalid_origins_are_refused(refused, data, message):
    refused(("cell.yaml", message), provenance_from_dict, data, "cell.yaml")


def test_published_must_be_records(refused):
    refused("expected Published records", Provenance, published=[{"test_err": 3}])
