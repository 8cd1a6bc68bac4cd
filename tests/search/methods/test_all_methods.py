"""Every method: a tiny search ends with a genotype, and ends as one that was interrupted twice."""

import pytest

import nas
from nas.search.methods import methods
from tests.helpers.runs import StopAfter, metrics, same, search_state

ALL = [name for name, entry in methods._entries.items() if entry.build.__module__.startswith("nas.")]
OTHERS = ["pc_darts+sdarts_rs", "pc_darts+gaea", "drnas+pc_darts", "beta_darts+a2m", "sgas+oles", "darts_pt+sdarts_adv"]
RESTRICTING = "sgas"  # its memory changes the supernet: one of the fast tests


def check(run_search, folder, name):
    changes = {"method": name, "channels": 4, "epochs": 3}
    if name == "skip_stop":  # else it may end before the interruption
        changes["methods"] = {name: {"not_before": 1.0}}
    run_search(folder / "whole", **changes)
    assert not run_search(folder / "parts", StopAfter(3), **changes).finished
    assert not run_search(folder / "parts", StopAfter(2), resume=True, **changes).finished
    result = run_search(folder / "parts", resume=True, **changes)
    assert same(search_state(folder / "whole"), search_state(folder / "parts"))
    assert metrics(folder / "whole") == metrics(folder / "parts")
    assert nas.Network(result.genotype, 4, 3)


def test_one_that_restricts_operators(run_search, tmp_path):
    check(run_search, tmp_path, RESTRICTING)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL + OTHERS if name != RESTRICTING])
def test_interrupted_or_not(run_search, tmp_path, name):
    check(run_search, tmp_path, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_the_shortest_search(run_search, tmp_path, name):
    assert nas.Network(run_search(tmp_path, method=name, channels=4, epochs=1).genotype, 4, 3)
