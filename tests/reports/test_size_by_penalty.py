"""Sizes by penalty weight: read from run folders, in a table, in a plot."""

import json
from xml.etree import ElementTree

import pytest
import yaml

from nas.core.errors import InputError
from nas.reports.size_by_penalty import SizedSearch, plot_sizes, read_sized_search, sizes_table


def write_run(folder, objective, params=3_000_000):
    folder.mkdir(exist_ok=True)
    config = {"space": "darts", "seed": 1} | ({} if objective is None else {"objective": objective})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    result = {"valid_accuracy": 0.5, "network": {"channels": 36, "cells": 20, "params": params, "macs": 500_000_000}}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


@pytest.mark.parametrize(
    ("objective", "penalties"),
    [
        (None, (0.0, 0.0)),
        ({"params": 0.5, "macs": None}, (0.5, 0.0)),
        ({"params": 0, "macs": 0.25}, (0.0, 0.25)),
    ],
)
def test_penalties_come_from_the_objective(tmp_path, objective, penalties):
    search = read_sized_search(write_run(tmp_path, objective))
    assert tuple(search.penalties.values()) == penalties
    assert search.sizes == {"params": 3_000_000, "macs": 500_000_000}


def test_the_table_is_sorted_by_penalty(tmp_path):
    searches = [
        read_sized_search(write_run(tmp_path / str(penalty), {"params": penalty}, 100)) for penalty in (0.5, 0, 0.25)
    ]
    lines = sizes_table(searches).splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == ["0", "0.25", "0.5"]
    assert lines[2] == "| darts | 0 | 0 | 1 | 0.000 | 500.000 | 50.0 |"


def test_the_plot_has_a_panel_for_each_penalty_in_use():
    def one(params, macs):
        return SizedSearch("darts", 0, {"params": params, "macs": macs}, {"params": 3, "macs": 4}, None)

    def text(*searches):
        return "".join(ElementTree.fromstring(plot_sizes(searches)).itertext())

    assert "λ of parameters" in text(one(0.0, 0.0))
    assert "λ of multiply-adds" not in text(one(0.0, 0.0), one(0.1, 0.0))
    assert "λ of parameters" not in text(one(0.0, 0.0), one(0.0, 0.1))
    both = text(one(0.1, 0.0), one(0.0, 0.1), one(0.1, 0.1))
    assert "λ of parameters" in both
    assert "λ of multiply-adds" in both
    assert text(one(0.1, 0.1))  # no search with a single penalty: empty panels
    assert plot_sizes([one(0.1, 0.0)]) == plot_sizes([one(0.1, 0.0)])


def test_unfinished_searches_are_rejected(tmp_path):
    write_run(tmp_path, None)
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(InputError, match="not the folder of a finished search"):
        read_sized_search(tmp_path)
    write_run(tmp_path, {"params": "much"})
    with pytest.raises(InputError, match="not the folder of a finished search"):
        read_sized_search(tmp_path)
    (tmp_path / "result.json").unlink()
    with pytest.raises(InputError, match=r"result\.json: cannot be read"):
        read_sized_search(tmp_path)
