"""Table 9: means and sample deviations, and the values published in the paper."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from nas.core.errors import InputError
from nas.reports.table9 import PAPER, Table9Row, csv_table, markdown_table, mean_and_deviation, read_csv_table
from nas.reports.table9_plot import plot_table9

ROWS = [
    Table9Row("darts", 0, 40.0, 3_000_000, 500_000_000, 60.0, 20.0, 120.0, 80.0),
    Table9Row("darts", 1, 42.0, 3_200_000, 520_000_000, 66.0, 22.0, 132.0, None),
    Table9Row("darts+sandglass", 0, 38.0, 2_400_000, None, 90.0, None, 120.0, None),
    Table9Row(
        "darts_v2 (published cell)", 0, 39.0, 3_300_000, 540_000_000, None, None, 90.0, 81.0, given_cell=True, method=""
    ),
]
RANDOM = [Table9Row("darts", seed, error, method="random") for seed, error in enumerate((44.0, 46.0))]


def test_the_papers_values():
    assert PAPER == {"darts": (3.11, 3.25), "darts+ir": (3.26, 3.29), "darts+sandglass": (2.98, 2.45)}


def test_mean_and_sample_deviation():
    assert mean_and_deviation([1.0, 2.0, 3.0, 4.0], 3) == "2.500 ± 1.291"  # sqrt(5/3)
    assert mean_and_deviation([7.25], 1) == "7.2"
    assert mean_and_deviation([None, 7.25], 1) == "7.2"
    assert mean_and_deviation([None], 1) == "–"


def test_the_table_has_a_row_for_each_space_and_each_run():
    lines = markdown_table(ROWS, ["a remark"]).splitlines()
    darts = "3.100 ± 0.141 | 510.0 ± 14.1 | 1.1 ± 0.1 | 21.0 ± 1.4 | 2.1 ± 0.1 | 80.0 | – | – | 3.11 | 3.25 |"
    assert lines[2] == f"| darts | 0, 1 | 41.00 ± 1.41 | {darts}"
    assert lines[3] == "| darts+sandglass | 0 | 38.00 | 2.400 | – | 1.5 | – | 2.0 | – | – | – | 2.98 | 2.45 |"
    assert lines[4] == "| darts_v2 (published cell) | 0 | 39.00 | 3.300 | 540.0 | – | – | 1.5 | 81.0 | – | – | – | – |"
    assert lines[11] == "| darts | 1 | 42.00 | 3.200 | 520.0 | 1.1 | 22.0 | 2.2 | – | – |"
    assert lines[-1] == "- a remark"
    assert len({line.count("|") for line in lines[:5]}) == len({line.count("|") for line in lines[8:14]}) == 1


def test_csv_has_every_row():
    lines = csv_table(ROWS).splitlines()
    assert lines[0].startswith("space,seed,test_error,params,macs,search_seconds,search_images_per_second,retrain_")
    assert lines[2] == "darts,1,42.0,3200000,520000000,66.0,22.0,132.0,,False,darts,,"


def test_random_cells_and_methods_have_rows_and_an_improvement():
    found = [replace(row, method="pc_darts", super_operators=2, edges=16) for row in ROWS[:2]]
    lines = markdown_table([*ROWS[:2], *found, *RANDOM], []).splitlines()
    # Welch: means 45 and 41, standard errors 1 and 1, 2 degrees of freedom: 4 ± 4.3027 sqrt(2)
    assert "| – | +4.00 [-2.08, +10.08] | 3.11 | 3.25 |" in lines[2]
    assert lines[3].startswith("| darts, pc_darts | 0, 1 | 41.00 ± 1.41 |")
    assert lines[3].endswith("| 4 of 32 | +4.00 [-2.08, +10.08] | – | – |")
    assert lines[4].startswith("| darts, random | 0, 1 | 45.00 ± 1.41 |")
    assert lines[4].endswith("| – | – | – | – |")


def test_rows_are_read_as_written(tmp_path):
    rows = [*ROWS, replace(ROWS[0], method="gdas", super_operators=3, edges=16)]
    path = tmp_path / "table9.csv"
    path.write_text(csv_table(rows))
    assert read_csv_table(path) == rows
    path.write_text("space,seed,test_error\ndarts,4,36.5\n")
    assert read_csv_table(path) == [Table9Row("darts", 4, 36.5)]


@pytest.mark.parametrize(
    "text",
    ["space,seed\ndarts,1\n", "space,seed,test_error\ndarts,1,nan\n", "space,seed,test_error\ndarts,1,2,3\n",
     "space,seed,test_error\ndarts,1,101\n", "space,seed,test_error,given_cell\ndarts,1,2,yes\n", "a\n1\n"],
)  # fmt: skip
def test_other_files_are_not_rows(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=r"t.csv: (cannot be read as rows of a|test_error=.*must lie in)"):
        read_csv_table(tmp_path / "t.csv")


def test_the_plot_is_deterministic_svg():
    text = "".join(ElementTree.fromstring(plot_table9(ROWS)).itertext())
    assert "darts+sandglass" in text
    assert "darts_v2 (published cell)" in text
    assert "the paper" in text
    assert plot_table9(ROWS) == plot_table9(ROWS)
    assert plot_table9([Table9Row("darts", 0, 40.0)])  # without known sizes the plot is empty
