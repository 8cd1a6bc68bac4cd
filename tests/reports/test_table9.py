"""Table 9: means and sample deviations, and the values published in the paper."""

from xml.etree import ElementTree

from nas.reports.table9 import PAPER, Table9Row, csv_table, markdown_table, mean_and_deviation
from nas.reports.table9_plot import plot_table9

ROWS = [
    Table9Row("darts", 0, 40.0, 3_000_000, 500_000_000, 60.0, 20.0, 120.0, 80.0),
    Table9Row("darts", 1, 42.0, 3_200_000, 520_000_000, 66.0, 22.0, 132.0, None),
    Table9Row("darts+sandglass", 0, 38.0, 2_400_000, None, 90.0, None, 120.0, None),
    Table9Row("darts_v2 (published cell)", 0, 39.0, 3_300_000, 540_000_000, None, None, 90.0, 81.0, given_cell=True),
]


def test_the_papers_values():
    assert PAPER == {"darts": (3.11, 3.25), "darts+ir": (3.26, 3.29), "darts+sandglass": (2.98, 2.45)}


def test_mean_and_sample_deviation():
    assert mean_and_deviation([1.0, 2.0, 3.0, 4.0], 3) == "2.500 ± 1.291"  # sqrt(5/3)
    assert mean_and_deviation([7.25], 1) == "7.2"
    assert mean_and_deviation([None, 7.25], 1) == "7.2"
    assert mean_and_deviation([None], 1) == "–"


def test_the_table_has_a_row_for_each_space_and_each_run():
    lines = markdown_table(ROWS, ["a remark"]).splitlines()
    darts = "3.100 ± 0.141 | 510.0 ± 14.1 | 1.1 ± 0.1 | 21.0 ± 1.4 | 2.1 ± 0.1 | 80.0 | 3.11 | 3.25 |"
    assert lines[2] == f"| darts | 0, 1 | 41.00 ± 1.41 | {darts}"
    assert lines[3] == "| darts+sandglass | 0 | 38.00 | 2.400 | – | 1.5 | – | 2.0 | – | 2.98 | 2.45 |"
    assert lines[4] == "| darts_v2 (published cell) | 0 | 39.00 | 3.300 | 540.0 | – | – | 1.5 | 81.0 | – | – |"
    assert lines[11] == "| darts | 1 | 42.00 | 3.200 | 520.0 | 1.1 | 22.0 | 2.2 | – |"
    assert lines[-1] == "- a remark"
    assert len({line.count("|") for line in lines[:5]}) == len({line.count("|") for line in lines[8:14]}) == 1


def test_csv_has_every_row():
    lines = csv_table(ROWS).splitlines()
    assert lines[0].startswith("space,seed,test_error,params,macs,search_seconds,search_images_per_second,retrain_")
    assert lines[2] == "darts,1,42.0,3200000,520000000,66.0,22.0,132.0,,False"


def test_the_plot_is_deterministic_svg():
    text = "".join(ElementTree.fromstring(plot_table9(ROWS)).itertext())
    assert "darts+sandglass" in text
    assert "darts_v2 (published cell)" in text
    assert "the paper" in text
    assert plot_table9(ROWS) == plot_table9(ROWS)
    assert plot_table9([Table9Row("darts", 0, 40.0)])  # without known sizes the plot is empty
