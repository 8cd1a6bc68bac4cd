"""The table: means and deviations against the statistics module's definitions, the paper's figures as published."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from nas.core.errors import InputError
from nas.engine.table9 import PAPER, Row, csv_table, markdown_table, mean_and_deviation, plot, read_row, write_table

ROWS = [
    Row("darts", 0, 40.0, 3_000_000, 60.0, 120.0),
    Row("darts+sandglass", 0, 38.0, 2_400_000, 90.0, 120.0),
    Row("darts", 1, 42.0, 3_200_000, 66.0, 132.0),
]


def test_the_papers_figures():
    assert PAPER == {"darts": (3.11, 3.25), "darts+ir": (3.26, 3.29), "darts+sandglass": (2.98, 2.45)}


def test_mean_and_sample_deviation():
    assert mean_and_deviation([1.0, 2.0, 3.0, 4.0], 3) == "2.500 ± 1.291"  # sqrt(5/3)
    assert mean_and_deviation([7.25], 1) == "7.2"


def test_the_table_has_a_line_for_each_space():
    lines = markdown_table(ROWS, ["a remark"]).splitlines()
    assert lines[2] == "| darts | 0, 1 | 41.00 ± 1.41 | 3.100 ± 0.141 | 1.1 ± 0.1 | 2.1 ± 0.1 | 3.11 | 3.25 |"
    assert lines[3] == "| darts+sandglass | 0 | 38.00 | 2.400 | 1.5 | 2.0 | 2.98 | 2.45 |"
    assert lines[-1] == "- a remark"


def test_csv_has_every_row():
    lines = csv_table(ROWS).splitlines()
    assert lines[0] == "space,seed,test_error,params,search_seconds,retrain_seconds"
    assert lines[3] == "darts,1,42.0,3200000,66.0,132.0"


def test_the_files_are_written_and_the_plot_is_svg(tmp_path):
    write_table(ROWS, [], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"table9.md", "table9.csv", "table9.svg"}
    text = "".join(ElementTree.fromstring(plot(ROWS)).itertext())
    assert "darts+sandglass" in text
    assert "the paper" in text
    assert plot(ROWS) == plot(ROWS)


def test_a_row_is_read_from_two_results(tmp_path):
    search, retrain = tmp_path / "search.json", tmp_path / "retrain.json"
    search.write_text(json.dumps({"seconds": 5.0}))
    retrain.write_text(json.dumps({"test_accuracy": 0.75, "params": 7, "seconds": 9.0}))
    assert read_row("darts", 3, search, retrain) == Row("darts", 3, 25.0, 7, 5.0, 9.0)
    retrain.write_text("{}")
    with pytest.raises(InputError, match="not the results"):
        read_row("darts", 3, search, retrain)
    retrain.write_text("{")
    with pytest.raises(InputError, match="cannot be read as a result"):
        read_row("darts", 3, search, retrain)
