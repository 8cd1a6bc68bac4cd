"""Scores of searches: curves, groups, intervals against a closed form, tables; the supernet's ranking by hand."""

import csv
import io
import math
from xml.etree import ElementTree

import pytest
import torch
import torch.nn.functional as F

import nas
from nas.core.errors import InputError
from nas.graph.arch_string import parse_arch_string
from nas.reports.confidence import interval
from nas.reports.truth_report import curves_csv, describe_scores, plot_scores
from nas.reports.truth_score import group_runs, score_run
from nas.reports.truth_table import TruthTable, read_truth_table
from nas.search.inherited import inherited_accuracies, load_search_state
from tests.helpers.search_settings import SETTINGS
from tests.helpers.truth import CELLS, write_table


def write_run(folder, cells):
    (folder / "genotypes").mkdir(parents=True)
    for epoch, cell in enumerate(cells, start=1):
        nas.save_genotype(parse_arch_string(cell), folder / "genotypes" / f"epoch-{epoch:03d}.yaml")
    return folder


@pytest.fixture
def table(tmp_path):
    return read_truth_table(write_table(tmp_path / "t.csv"))


def test_a_run_is_scored_by_epoch(tmp_path, table):
    run = score_run(write_run(tmp_path / "own-seed3", [CELLS[24], CELLS[0]]), table)
    assert [(c.epoch, c.accuracy, c.rank, c.percentile, c.skips, c.edges) for c in run.curve] == [
        (1, 24.0, 1, 98.0, 1, 6),
        (2, 0.0, 25, 2.0, 1, 6),
    ]
    assert run.method == "own"
    with pytest.raises(InputError, match="no cell"):
        score_run(write_run(tmp_path / "other", ["|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"]), table)
    with pytest.raises(InputError, match="not the folder of a search"):
        score_run(tmp_path, table)


def test_the_interval_is_students():
    found = interval([1.0, 2.0, 6.0], 1.0)  # t(0.975, 2) = 4.302653, from tables
    deviation = math.sqrt((4 + 1 + 9) / 2)
    assert (found.mean, found.deviation) == (2.0, pytest.approx(deviation))
    assert found.high - 2.0 == pytest.approx(4.302653 * deviation / math.sqrt(3), rel=1e-6)
    assert found.low == pytest.approx(4.0 - found.high)
    assert interval([5.0]).low is None


def test_the_report_has_every_run_and_epoch(tmp_path, table):
    folders = [write_run(tmp_path / f"own-seed{seed}", [CELLS[seed], CELLS[4]]) for seed in (1, 2)]
    runs = [score_run(folder, table) for folder in [*folders, write_run(tmp_path / "other-seed0", [CELLS[24]])]]
    assert {name: len(own) for name, own in group_runs(runs).items()} == {"own": 2, "other": 1}
    text = describe_scores(runs, table)
    assert "| own | 2 | 4.00 ± 0.00 | 18.0 ± 0.0 | -8.00 [-8.00, -8.00] | 1.0 ± 0.0 | – | – |" in text
    assert "| other | 1 | 24.00 | 98.0 | +12.00 | 1.0 | – | – |" in text
    assert "| own-seed1 | 2 | 4.00 | 21 | 18.0 | 1 of 6 | 4.00 (2) | 1.00 (1) | – | – |" in text
    rows = list(csv.DictReader(io.StringIO(curves_csv(runs))))
    assert [row["accuracy"] for row in rows] == ["1.00", "4.00", "2.00", "4.00", "24.00"]
    shown = "".join(ElementTree.fromstring(plot_scores(runs, table)).itertext())
    assert "own-seed2" in shown


def test_inherited_accuracies_are_those_of_the_cell_alone(run_search, digits, tmp_path):
    settings = {"space": "nb201", "cells": 1, "epochs": 1}
    run_search(tmp_path, **settings)
    own = SETTINGS.__class__(**{**vars(SETTINGS), "cells": 1, "epochs": 1})
    state = load_search_state(tmp_path, nas.load_space("nb201"), own, digits)
    cells = [parse_arch_string(cell) for cell in (CELLS[3], CELLS[8])]
    found = list(inherited_accuracies(state, own, digits, cells, images=20))
    for cell, accuracy in zip(cells, found, strict=True):
        assert accuracy == pytest.approx(_by_hand(state.supernet, cell, digits, own))
    assert state.supernet.strengths()["cell"].gt(0).all()  # nothing is left out any more


def _by_hand(supernet, cell, digits, settings):
    """The accuracy on the first 20 images of the alphas' half, with one-hot strengths and all operators computed."""
    from nas.data.halves import half_indices

    _, chosen = half_indices(digits.train.labels, settings.seed, settings.train_fraction)
    images = digits.train.images[chosen[:20]].float() / 255
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (digits.mean, digits.std))
    rows = [supernet.space.operators.index(operator) for operator, _ in cell.edges("cell")]
    strengths = {"cell": F.one_hot(torch.tensor(rows), len(supernet.space.operators)).float()}
    supernet.execution = "reference"
    with torch.no_grad():
        logits = supernet.train()((images - mean) / std, lambda alphas: strengths)
    return float((logits.argmax(1) == digits.train.labels[chosen[:20]]).float().mean())


def test_a_table_needs_cells():
    with pytest.raises(InputError, match="t: has no cells"):
        TruthTable("t", {})
