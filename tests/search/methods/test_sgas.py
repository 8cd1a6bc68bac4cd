"""The decisions of SGAS against its criterion, computed number by number, and its end."""

from math import log

import pytest
import torch

import nas
from nas.graph.space import Space
from nas.search.methods.sgas import decide_edge, decisions, edge_scores, without_none

SPACE = Space("three", ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3"), intermediate_nodes=2)


def strengths(seed):
    torch.manual_seed(seed)
    return torch.softmax(2 * torch.randn(5, 4).double(), 1)


def min_max(values):
    return [(v - min(values)) / (max(values) - min(values)) for v in values]


@pytest.mark.parametrize("criterion", [1, 2])
def test_the_criterion(criterion):
    p, past = strengths(0), [strengths(1), strengths(2)]
    rows = [[[v / sum(row[1:]) for v in row[1:]] for row in s.tolist()] for s in (p, *past)]
    importance = min_max([1 - row[0] for row in p.tolist()])
    certainty = min_max([1 + sum(v * log(v) for v in row) / log(3) for row in rows[0]])
    overlap = [[sum(map(min, a, b)) for a, b in zip(rows[0], old, strict=True)] for old in rows[1:]]
    stability = min_max([(a + b) / 2 for a, b in zip(*overlap, strict=True)]) if criterion == 2 else [1.0] * 5
    wanted = [i * c * s for i, c, s in zip(importance, certainty, stability, strict=True)]
    assert edge_scores(p, past, SPACE, criterion).tolist() == pytest.approx(wanted)
    assert edge_scores(p, [], SPACE, 2).isfinite().all()


def test_a_node_that_is_full_loses_its_other_edges():
    """Edges 0, 1 lead to node 2, edges 2, 3, 4 to node 3; each keeps two."""
    kept, decided = torch.ones(5, 4, dtype=torch.bool), []
    q, scores = without_none(strengths(0), SPACE), torch.tensor([0.1, 0.2, 0.9, 0.3, 0.8])
    for _ in range(decisions(SPACE)):
        decide_edge(kept, decided, scores, q, SPACE)
    assert decided == [2, 4, 1, 0]
    assert kept.sum(1).tolist() == [1, 1, 1, 0, 1]
    assert all(kept[edge, q[edge].argmax()] for edge in decided)
    assert not kept[:, 0].any()


def test_a_search_decides_all_edges_evenly(run_search, tmp_path):
    result = run_search(tmp_path, epochs=5, method="sgas", methods={"sgas": {"criterion": 2}})
    for kind, p in result.supernet.strengths().items():
        assert sorted(p.max(1).values.tolist()) == [0, 1, 1, 1, 1], kind
    counts = [
        sum(edge.max() == 1 for edge in torch.tensor(row["strengths"]["normal"]))
        for row in nas.runtime.metrics_log.read_metrics(tmp_path / "alphas.jsonl")
    ]
    assert counts == [0, 1, 2, 3, 4]
