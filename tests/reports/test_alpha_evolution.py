"""Strengths over the epochs, read from a search's folder and drawn, against torch and closed forms."""

import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import yaml

from nas.core.errors import InputError
from nas.core.run_files import ALPHAS
from nas.models.relaxation import Relaxation
from nas.reports.alpha_evolution import normalized_entropy, read_alpha_evolution
from nas.reports.alpha_evolution_plot import plot_alpha_evolution
from nas.reports.found_cells import FinishedSearch, describe_searches
from nas.search.alpha_log import append_alphas, read_alphas
from nas.search.method import Method
from nas.search.methods import methods, register_method
from nas.storage.checkpoint import load_checkpoint

KINDS = ("normal", "reduce")
TINY = {"format": 2, "space": "tiny", "seed": 3, "epochs": 2}


@pytest.fixture
def searched(run_search, tmp_path):
    """Return the folder of a search, with the configuration that the command would write, and the result."""
    result = run_search(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(TINY))
    return tmp_path, result


def test_logged_alphas_equal_those_of_the_checkpoint(searched):
    folder, _ = searched
    kept = read_alphas(folder, KINDS)
    assert list(kept) == [1, 2]
    model = load_checkpoint(folder / "checkpoint.pt")["model"]
    for kind in ("normal", "reduce"):
        assert np.array_equal(kept[2][kind].astype(np.float32), model[f"alpha_{kind}"].numpy())


def test_a_repeated_epoch_replaces_its_rows(tmp_path):
    for epochs, value in ((1, 1.0), (2, 2.0), (3, 3.0), (2, 4.0)):
        append_alphas(tmp_path, epochs, {"normal": torch.full((2, 2), value), "reduce": torch.zeros(2, 2)})
    kept = read_alphas(tmp_path, KINDS)
    assert {epoch: kinds["normal"][0, 0] for epoch, kinds in kept.items()} == {1: 1.0, 2: 4.0}
    (tmp_path / ALPHAS).write_text(json.dumps({"epoch": 1}) + "\n")
    with pytest.raises(InputError, match="epoch 1 holds no alphas"):
        read_alphas(tmp_path, KINDS)


def test_evolution_is_the_softmax_of_each_epoch(searched):
    folder, _ = searched
    evolution = read_alpha_evolution(folder)
    assert (evolution.title, evolution.seed, list(evolution.means)) == ("tiny", 3, [1, 2])
    (folder / "config.yaml").write_text(yaml.safe_dump({**TINY, "method": "pc_darts"}))
    assert read_alpha_evolution(folder).title == "tiny, pc_darts"
    alpha = torch.tensor(read_alphas(folder, KINDS)[1]["normal"])
    assert evolution.strengths[1]["normal"] == pytest.approx(torch.softmax(alpha, dim=-1).numpy(), abs=1e-6)


def test_evolution_shows_the_strengths_of_the_runs_own_method(run_search, tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "_entries", dict(methods._entries))
    register_method("sigmoid")(lambda settings: Method(relaxation=Relaxation(torch.sigmoid)))
    run_search(tmp_path, method="sigmoid")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**TINY, "method": "sigmoid"}))
    alpha = read_alphas(tmp_path, KINDS)[2]["normal"]
    assert read_alpha_evolution(tmp_path).last["normal"] == pytest.approx(1 / (1 + np.exp(-alpha)), abs=1e-6)


def test_older_runs_have_means_and_the_last_strengths(searched):
    """Without ``alphas.jsonl``, means of all epochs come from TensorBoard, the last alphas from the checkpoint."""
    folder, _ = searched
    new = read_alpha_evolution(folder)
    (folder / ALPHAS).unlink()
    old = read_alpha_evolution(folder)
    assert (list(old.means), list(old.strengths)) == ([1, 2], [2])
    assert old.last["reduce"] == pytest.approx(new.last["reduce"], abs=1e-6)
    for epoch in (1, 2):
        assert old.means[epoch]["normal"] == pytest.approx(new.means[epoch]["normal"], abs=1e-6)
    (folder / "checkpoint.pt").unlink()
    with pytest.raises(InputError, match="no epoch"):
        read_alpha_evolution(folder)


def test_normalized_entropy():
    assert normalized_entropy(np.full((3, 8), 1 / 8)) == pytest.approx(1)
    assert normalized_entropy(np.array([[1.0, 0.0, 0.0, 0.0]])) == 0
    assert normalized_entropy(np.array([[0.5, 0.5, 0.0, 0.0], [0.25] * 4])) == pytest.approx((0.5 + 1) / 2)
    assert normalized_entropy(np.array([[0.9, 0.1]])) == pytest.approx(-(0.9 * math.log2(0.9) + 0.1 * math.log2(0.1)))
    assert normalized_entropy(np.ones((2, 1))) == 0


def test_the_plot_names_every_search_and_operator(searched):
    evolution = read_alpha_evolution(searched[0])
    drawn = plot_alpha_evolution([evolution, evolution])
    text = "".join(ElementTree.fromstring(drawn).itertext())
    assert all(operator in text for operator in evolution.space.operators)
    assert "tiny, seed 3, normal cell" in text
    assert drawn == plot_alpha_evolution([evolution, evolution])


def test_tables_of_a_finished_search(searched):
    folder, result = searched
    evolution = read_alpha_evolution(folder)
    text = describe_searches([FinishedSearch(evolution, result.genotype, {"epochs": 2, "valid_accuracy": 0.125})])
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    heads = [line for line in lines if line[0] == "space"]
    found = dict(zip(heads[0], lines[1], strict=True))
    edges = [operator for operator, _ in result.genotype.normal]
    assert found["validation accuracy %"] == "12.5"
    assert found["skip_connect"] == str(edges.count("skip_connect"))
    assert found["entropy"] == f"{normalized_entropy(evolution.last['normal']):.4f}"
    blocks = dict(zip(heads[1], next(line for line in lines if "sandglass_3x3_t6" in line[2:3]), strict=True))
    into = [
        row for row, (target, _) in zip(evolution.last["normal"], evolution.space.edges, strict=True) if target == 3
    ]
    kept = sum(operator == "sandglass_3x3_t6" for operator, _ in result.genotype.nodes("normal")[1][1])
    assert blocks["node 3"] == f"{np.mean([row[4] for row in into]):.4f} ({kept})"
    assert blocks["even"] == "0.2000"
    means = dict(zip(heads[2], lines[-1], strict=True))
    assert means["none"] == f"{evolution.last['reduce'][:, 0].mean():.4f}"


def test_searches_with_other_kinds_of_cell(searched, run_search, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nb201")
    result = run_search(folder, space="nb201", channels=2, cells=1, epochs=1)
    (folder / "config.yaml").write_text("format: 2\nspace: nb201\nseed: 3\nepochs: 1\n")
    evolutions = [read_alpha_evolution(path) for path in (searched[0], folder)]
    assert list(evolutions[1].last) == ["cell"]
    titles = {"tiny, seed 3, reduce cell: mean strength", "nb201, seed 3, cell: mean strength"}
    assert titles <= set(ElementTree.fromstring(plot_alpha_evolution(evolutions)).itertext())
    genotypes = (searched[1].genotype, result.genotype)
    text = describe_searches([FinishedSearch(e, g, {}) for e, g in zip(evolutions, genotypes, strict=True)])
    row = next(line for line in text.splitlines() if line.startswith("| nb201 | 3 | – | – | cell |"))
    kept = [operator for operator, _ in result.genotype.edges("cell")]
    assert f"| {kept.count('none')} | " in row


def test_entropy_is_relative_to_the_operators_of_an_edge():
    assert normalized_entropy(np.array([[0.5, 0.5, 0.0], [1 / 3] * 3, [1, 0, 0]]), [2, 3, 1]) == pytest.approx(2 / 3)


def test_folders_of_other_runs_are_rejected(searched, tmp_path):
    folder, _ = searched
    (folder / "config.yaml").write_text("space: darts\n")
    with pytest.raises(InputError, match="do not fit space=darts"):
        read_alpha_evolution(folder)
    (folder / "config.yaml").write_text("cell: darts_v2\n")
    with pytest.raises(InputError, match="not the folder of a search"):
        read_alpha_evolution(folder)
    with pytest.raises(InputError, match=r"config.yaml is missing"):
        read_alpha_evolution(tmp_path / "nothing")
