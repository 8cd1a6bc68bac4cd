"""``nas select``: trainings in processes of their own, their record, and what is refused."""

import json
from pathlib import Path

import pytest

import nas
from nas.cli import select
from nas.cli.job_pool import PoolJob, run_jobs
from nas.cli.main import main
from tests.helpers.command_lines import TINY

SHORT = ["--set", "epochs=1", "warmup_epochs=0", "channels=2", "cells=1", "data.limit=64", "batch_size=32"]


@pytest.fixture
def search(run, elsewhere):
    assert run(*TINY, "run.dir=S0").code == 0
    return elsewhere


def test_cells_are_trained_once_and_ranked(search, ended, monkeypatch):
    words = ["select", "S0", "--random", "1", "--folder", "F", *SHORT]
    code, out, complaints = ended(lambda: main([*words, "-o", "rank.md"]))
    assert (code, complaints) == (0, []), out
    ranking = (search / "rank.md").read_text()
    assert ranking in out
    for name in ("S0", "random-0"):
        result = json.loads((search / "F" / name / "seed0/result.json").read_text())
        assert result["test_images"] == 287  # a fifth of the 1,437 training images of the digits
        assert f"| {name} | 1 | {100 * result['test_accuracy']:.2f} |" in ranking
    assert " cell=F/" in out.splitlines()[-1]

    monkeypatch.setattr(select, "run_jobs", lambda *_: pytest.fail("a training was repeated"))
    code, out, complaints = ended(lambda: main(words))
    assert (code, out.splitlines()[:4], complaints) == (0, ranking.splitlines()[:4], [])
    ranked = nas.select_cells(["S0"], random=1, folder="F", settings=SHORT[1:])
    assert [one.name for one in ranked] == [line.split(" | ")[1] for line in ranking.splitlines()[2:4]]
    assert {one.random for one in ranked} == {True, False}
    with pytest.raises(nas.InputError, match="--seeds: one is given twice: 1 1"):
        nas.select_cells(["S0"], seeds=(1, 1))
    with pytest.raises(nas.InputError, match="RUN: none is given"):
        nas.select_cells([])
    code, _, complaints = ended(lambda: main([*words, "weight_decay=0"]))
    assert (code, len(complaints)) == (2, 1)
    assert "F: its trainings have" in complaints[0]


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["--random", "-1"], "--random -1: must be 0 or more"),
        (["--jobs", "0"], "--jobs 0: must be 1 or more"),
        (["--seeds", "1", "1"], "--seeds: one is given twice"),
        (["--set", "seed=3"], "must be KEY=VALUE, with none of cell, seed"),
        (["--set", "epochs"], "--set 'epochs': must be KEY=VALUE"),
        (["--set", "data.holdout=null"], "would choose on the test images"),
    ],
)
def test_one_line_for_bad_options(elsewhere, ended, more, part):
    code, out, complaints = ended(lambda: main(["select", "S0", *more]))
    assert (code, out, len(complaints)) == (2, "", 1)
    assert part in complaints[0]


def test_runs_that_do_not_fit(search, ended):
    config = search / "S0/config.yaml"
    (search / "S1").mkdir()
    for old, new, part in (
        ("space: ", "space: darts # ", "S1: its space is not that of S0"),
        ("cache: data/cache", "cache: /etc/cache", "to trust them, repeat them: --set data.cache=/etc/cache"),
    ):
        (search / "S1/config.yaml").write_text(config.read_text().replace(old, new, 1))
        code, out, complaints = ended(lambda: main(["select", "S0", "S1"]))
        assert (code, out, len(complaints)) == (2, "", 1)
        assert part in complaints[0]


def test_a_space_file_elsewhere_is_read_only_if_repeated(search, ended, tmp_path_factory):
    space = tmp_path_factory.mktemp("other") / "mine.yaml"
    space.write_text("name: mine\noperators: [skip_connect, avg_pool_3x3]\n")
    config = search / "S0/config.yaml"
    config.write_text(config.read_text().replace("space: tiny", f"space: {space}"))
    code, _, complaints = ended(lambda: main(["select", "S0", "--folder", "F"]))
    assert (code, len(complaints)) == (2, 1)
    assert f"to trust them, repeat them: --set space={space}" in complaints[0]
    code, _, complaints = ended(lambda: main(["select", "S0", "--folder", "F", "--set", "space=darts"]))
    assert (code, len(complaints)) == (2, 1)
    assert f"--set space=darts: S0 searched space={space}" in complaints[0]
    assert not (search / "F").exists()


def test_a_failed_job_does_not_end_the_others(elsewhere: Path, capsys):
    jobs = [PoolJob(name, "retrain", (f"cell={name}", "data=digits")) for name in ("foo", "bar")]
    run_jobs(jobs, 2, lambda job: pytest.fail("neither can succeed"))
    lines = sorted(capsys.readouterr().out.splitlines())
    assert [line.partition(":")[0] for line in lines] == ["bar", "foo"]
    for line, name in zip(lines, ("bar", "foo"), strict=True):
        assert "failed: error: " in line
        assert name in line.partition("error: ")[2]
