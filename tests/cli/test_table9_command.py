"""The paper's table from one command: made, and not made twice."""

import csv

from tiny_search import TINY

from nas.cli.small import main

SMALL = [word for word in TINY if not word.startswith("space=")]


def test_the_table_is_made_and_goes_on_where_it_stopped(ended, elsewhere):
    words = ["table9", "--preset", "quick", "--folder", "t9", "--spaces", "tiny", "--seeds", "0", "--both", *SMALL]
    code, out, _ = ended(lambda: main(words))
    assert code == 0
    assert "| tiny | 0 |" in out
    (row,) = csv.DictReader((elsewhere / "t9/table9.csv").read_text().splitlines())
    assert (row["space"], row["seed"]) == ("tiny", "0")
    assert 0 <= float(row["test_error"]) <= 100
    assert int(row["params"]) > 0
    assert (elsewhere / "t9/table9.svg").exists()
    code, out, _ = ended(lambda: main(words))
    assert code == 0
    assert out.count("done before") == 2


def test_what_fails_is_named(ended, elsewhere):
    words = ["table9", "--preset", "quick", "--spaces", "nope", "--seeds", "0", "--both", *SMALL]
    code, _, complaints = ended(lambda: main(words))
    assert code == 2
    assert "nope-seed0/search: search left with exit code 2" in complaints[-1]
    code, _, complaints = ended(lambda: main(["table9", "--preset", "huge"]))
    assert (code, len(complaints)) == (2, 1)
    assert "must be paper or table9_gpu or table9_cpu or quick" in complaints[0]
