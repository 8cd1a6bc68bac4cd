"""Signs that a search has settled on its cells: closed forms, and what a search records."""

import json
from dataclasses import replace

import pytest

import nas
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.runtime.metrics_log import read_metrics
from nas.search.settled import Settledness, changed_picks, mean_lead, read_settledness

SPACE = Space("s", ("none", "skip_connect", "conv_3x3"), inputs=2, intermediate_nodes=1, edges_per_node=2)
SETTLED = Settledness(picks=4, changed=0, still=5, lead=0.05, even=0.25, epochs=50)


def genotype(*operators: str) -> Genotype:
    edges = [(operator, source) for source, operator in enumerate(operators)]
    return Genotype(edges, [2], edges, [2])


@pytest.mark.parametrize(
    ("row", "lead"),
    [((0.6, 0.1, 0.3), 0.2), ((0.2, 0.4, 0.4), 0.0), ((0.0, 0.3, 0.7), 0.4)],  # none is no rival: it is never picked
)
def test_lead_is_the_distance_to_the_next_operator_of_the_edge(row, lead):
    strengths = {"normal": [row, row], "reduce": [row, row]}
    assert mean_lead(genotype("conv_3x3", "conv_3x3"), strengths, SPACE) == pytest.approx(lead)


def test_changed_picks(tmp_path):
    before = tmp_path / "epoch-001.yaml"
    assert changed_picks(genotype("conv_3x3", "conv_3x3"), before) is None
    nas.save_genotype(genotype("conv_3x3", "skip_connect"), before)
    assert changed_picks(genotype("conv_3x3", "skip_connect"), before) == 0
    assert changed_picks(genotype("conv_3x3", "conv_3x3"), before) == 2  # in each of two cells


@pytest.mark.parametrize(
    ("changes", "settled", "parts"),
    [
        ({}, True, ["settled: no pick changed in the last 5 epochs"]),
        ({"still": 4}, False, ["not settled: no pick changed in 4 epochs, of 5 needed; more epochs would help"]),
        ({"epochs": 7, "still": 2}, True, []),
        ({"still": 0, "changed": 1}, False, ["1 of 4 picks changed in the last epoch; more epochs"]),
        ({"lead": 0.02}, False, ["leads the next operator by 0.02 (even: 0.25); a higher alphas.lr (now 0.003)"]),
        ({"lead": None}, True, []),
    ],
)
def test_when_a_search_counts_as_settled(changes, settled, parts):
    found = replace(SETTLED, **changes)
    assert (found.settled, found.to_dict()["settled"]) == (settled, settled)
    assert all(part in found.describe(3e-3) for part in parts)


def test_a_search_records_changes_and_lead(run_search, tmp_path):
    result = run_search(tmp_path, epochs=3)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    cells = [nas.load_genotype(tmp_path / f"genotypes/epoch-00{epoch}.yaml") for epoch in (1, 2, 3)]
    for row, before, after in zip(rows[1:], cells, cells[1:], strict=False):
        picks = [
            {
                (kind, node, edge)
                for kind, own in dict(cell.cells).items()
                for node, kept in enumerate(own.nodes)
                for edge in kept
            }
            for cell in (before, after)
        ]
        assert row["picks_changed"] == len(picks[1] - picks[0])
    assert (rows[0]["picks_changed"], result.settledness.epochs) == (None, 3)
    assert result.settledness == read_settledness(tmp_path, result.genotype, nas.load_space("tiny"))
    strengths = {kind: values.tolist() for kind, values in result.supernet.strengths().items()}
    assert rows[-1]["lead"] == pytest.approx(mean_lead(result.genotype, strengths, nas.load_space("tiny")), abs=1e-6)
    assert json.dumps(result.settledness.to_dict())
