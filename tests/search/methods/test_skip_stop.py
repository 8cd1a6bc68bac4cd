"""The stop by skip connections: what counts as collapsed, and the genotype of the last epoch before."""

import pytest
import torch

import nas
from nas.search.method import SearchView
from nas.search.methods import build_method
from nas.search.methods.skip_stop import has_collapsed

NB201 = nas.load_space("nb201")
NONE, SKIP, CONV = (NB201.operators.index(name) for name in ("none", "skip_connect", "nor_conv_3x3"))


def view_of(columns, epoch=10, memory=None):
    """A search whose strongest operators on the six edges are ``columns``, after ``epoch`` of 20 epochs."""
    net = nas.Supernet(NB201, 2, 1)
    with torch.no_grad():
        net.alpha_cell.zero_()[torch.arange(6), torch.tensor(columns)] = 1.0
    nothing = {"validation": None, "restart_weights": None, "redraw_weights": None, "valid_accuracy": None, "seed": 0}
    return SearchView(supernet=net, memory={} if memory is None else memory, epoch=epoch, epochs=20, **nothing)


@pytest.mark.parametrize(
    ("columns", "collapsed"),
    [
        ([SKIP] * 3 + [CONV] * 3, True),
        ([SKIP] * 2 + [CONV] * 4, False),
        ([NONE] * 6, True),
        ([NONE] * 5 + [CONV], False),
    ],
)
def test_half_of_the_edges_or_none_everywhere(columns, collapsed):
    assert has_collapsed(view_of(columns), 0.5) is collapsed


def test_a_search_stops_with_the_last_cell_before():
    method, memory = build_method("skip_stop"), {}
    good, bad = [CONV] * 6, [SKIP] * 6
    assert not method.stop(view_of(bad, 3, memory))  # in the first fifth
    assert method.select(view_of(bad, 3, memory)).edges("cell")[0][0] == "skip_connect"
    assert not method.stop(view_of(good, 4, memory))
    stopped = view_of(bad, 5, memory)
    assert method.stop(stopped)
    assert {operator for operator, _ in method.select(stopped).edges("cell")} == {"nor_conv_3x3"}
    assert method.stop(view_of(bad, 5))
    assert {operator for operator, _ in method.select(view_of(bad, 5)).edges("cell")} == {"skip_connect"}


def test_it_composes_and_ends_a_search(run_search, tmp_path):
    own = {"skip_stop": {"share": 1e-9, "not_before": 0.0}}  # any cell has collapsed
    result = run_search(tmp_path, method="gdas+skip_stop", methods=own, epochs=3)
    assert (result.finished, result.epoch) == (True, 1)
