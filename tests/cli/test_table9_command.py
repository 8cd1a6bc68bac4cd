"""``python -m nas table9``: the table is made, not repeated, and collected from finished runs."""

import csv
import shutil

import pytest

from nas.cli.main import main
from tests.helpers.command_lines import TINY

SMALL = [word for word in TINY if not word.startswith("space=")]


@pytest.fixture
def table9(ended, elsewhere):
    """Run the command with a preset, a folder and further arguments."""
    return lambda *words: ended(lambda: main(["table9", "--preset", "quick", "--folder", "t9", *words]))


@pytest.mark.slow
def test_the_table_is_made_resumed_and_collected(table9, elsewhere):
    words = ["--spaces", "tiny", "--cells", "darts_v1", "--random", "1", "--seeds", "0", "--both", *SMALL]
    code, out, _ = table9(*words)
    assert code == 0
    assert "| tiny | 0 |" in out
    searched, drawn, given = csv.DictReader((elsewhere / "t9/table9.csv").read_text().splitlines())
    assert (searched["space"], searched["seed"]) == ("tiny", "0")
    assert (given["space"], given["search_seconds"]) == ("darts_v1 (published cell)", "")
    assert (drawn["space"], drawn["method"], drawn["seed"]) == ("tiny", "random", "0")
    for row in (searched, drawn, given):
        assert 0 <= float(row["test_error"]) <= 100
        assert min(int(row["params"]), int(row["macs"]), float(row["retrain_images_per_second"])) > 0
    assert (elsewhere / "t9/table9.svg").exists()
    code, out, _ = table9(*words)
    assert code == 0
    assert out.count("already finished") == 4

    shutil.copytree("t9/tiny-seed0/search", "t9/tiny-seed1/search")  # of another process, in its first epoch
    (elsewhere / "t9/tiny-seed1/search/result.json").unlink()
    (elsewhere / "t9/tiny-seed1/search/metrics.jsonl").unlink()
    code, out, _ = table9("--collect", "-o", "out")
    assert code == 0
    assert "tiny seed 1 (search, 0 of 1 epochs)" in out
    assert "- Settings of each search: `preset=quick data=digits" in out
    files = {path.name for path in (elsewhere / "out").iterdir()}
    assert files == {"table9.md", "table9.csv", "table9.svg", "evolution.svg", "search.md"}
    assert "| tiny | 0 | sandglass_3x3_t6 | normal |" in (elsewhere / "out/search.md").read_text()

    code, _, complaints = table9("--collect", "--preset", "table9_cpu")
    assert (code, len(complaints)) == (2, 1)
    assert "t9: holds runs of preset quick, not table9_cpu" in complaints[0]


def test_a_failed_run_is_named(table9):
    code, _, complaints = table9("--spaces", "nope", "--seeds", "0", "--both", *SMALL)
    assert code == 2
    assert "nope-seed0/search: search failed with exit code 2" in complaints[-1]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--preset", "huge"], "--preset huge: must be paper or table9_gpu or table9_cpu or quick"),
        (["--cells", "darts_v3"], "did you mean darts_v2"),
        (["--output", "out"], "--output out: needs --collect"),
        (["--add", "t.csv"], "--add t.csv: needs --collect"),
        (["--collect", "--add", "t.csv"], "t.csv: cannot be read as rows of a table9.csv"),
        (["--random", "-1"], "--random -1: must be 0 or more"),
        (["--methods", "random"], "with --random 4 instead"),
        (["--spaces"], "give the --cells to retrain"),
        (["--collect"], "t9: no entry of the table has finished"),
    ],
)
def test_bad_arguments(table9, elsewhere, words, part):
    code, out, complaints = table9(*words)
    assert (code, out, len(complaints)) == (2, "", 1)
    assert part in complaints[0]
    assert list(elsewhere.iterdir()) == []
