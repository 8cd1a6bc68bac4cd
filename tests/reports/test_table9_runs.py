"""The folder of a table: what is finished becomes rows, what is not is named, and how all was made is said."""

import json

import pytest

from nas.core.errors import InputError
from nas.graph.genotype_yaml import save_genotype
from nas.graph.zoo import load_genotype
from nas.reports.table9 import Table9Row
from nas.reports.table9_runs import entry_folder, made_with, presets, read_entries, read_row, unfinished, write_table

SEARCHED = {"seconds": 5.0}
TRAINED = {"test_accuracy": 0.75, "params": 7, "macs": 11, "seconds": 9.0}


@pytest.fixture
def begin(tmp_path):
    """Lay down a run as the commands do, finished if it has a result."""

    def lay(name, stage, result=None, speeds=(), words="preset=quick", commit="c0"):
        folder = tmp_path / name / stage
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("epochs: 12\n")
        command = f"python -c seed=0 space=darts {words} 'run.dir=\"{folder}\"' resume=true"
        loop = {"date": "2026-01-02", "command": command, "git_commit": commit, "torch": "2", "processor": "cpu"}
        (folder / "environment.json").write_text(json.dumps([{**loop, "threads": 1}]))
        rows = [json.dumps({"epoch": epoch, "images_per_second": speed}) for epoch, speed in enumerate(speeds)]
        (folder / "metrics.jsonl").write_text("".join(row + "\n" for row in rows))
        if result is not None:
            (folder / "result.json").write_text(json.dumps(result))
        return folder

    return lay


def test_a_row_is_read_from_two_runs(begin, tmp_path):
    begin("darts-seed3", "search", SEARCHED, [None, 10.0, 30.0, 20.0])
    retrain = begin("darts-seed3", "retrain", TRAINED, [80.0])
    (entry,) = read_entries(tmp_path)
    assert read_row(entry) == Table9Row("darts", 3, 25.0, 7, 11, 5.0, 20.0, 9.0, 80.0)
    (retrain / "result.json").write_text('{"test_accuracy": 0.5}')
    assert read_row(entry) == Table9Row("darts", 3, 50.0, None, None, 5.0, 20.0, None, 80.0)
    (retrain / "result.json").write_text("{}")
    with pytest.raises(InputError, match="not the result of a finished retraining"):
        read_row(entry)
    (retrain / "result.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as a result"):
        read_row(entry)


def test_a_given_cell_is_only_retrained(begin, tmp_path):
    for name in ("darts_v2", "mine"):
        folder = begin(f"{name}-seed0", "retrain", TRAINED)
        save_genotype(
            load_genotype("darts_v2" if name == "darts_v2" else "found_small_cifar10_jpeg"), folder / "genotype.yaml"
        )
    published, given = map(read_row, read_entries(tmp_path))
    assert published == Table9Row("darts_v2 (published cell)", 0, 25.0, 7, 11, retrain_seconds=9.0, given_cell=True)
    assert given.space == "mine (given cell)"


def test_everybodys_rows_in_the_papers_order(begin, tmp_path):
    for name in ("darts_v2-seed0", "tiny-seed0", "darts+sandglass-seed10", "darts+sandglass-seed9", "darts-seed0"):
        if name != "darts_v2-seed0":
            begin(name, "search", SEARCHED)
        begin(name, "retrain", TRAINED)
    names = [(entry.name, entry.seed) for entry in read_entries(tmp_path)]
    sandglass = [("darts+sandglass", 9), ("darts+sandglass", 10)]
    assert names == [("darts", 0), *sandglass, ("tiny", 0), ("darts_v2", 0)]


def test_what_was_begun_is_named(begin, tmp_path):
    begin("darts-seed0", "search", SEARCHED)
    begin("darts-seed0", "retrain", TRAINED)
    assert unfinished(read_entries(tmp_path)) == []
    begin("darts-seed1", "search", speeds=[1.0, 1.0, 1.0])
    begin("darts+ir-seed1", "search", SEARCHED)
    begin("tiny-seed1", "search", SEARCHED)
    begin("tiny-seed1", "retrain")
    (remark,) = unfinished(read_entries(tmp_path))
    assert "darts seed 1 (search, 3 of 12 epochs)" in remark
    assert "darts+ir seed 1 (search finished, retraining not begun)" in remark
    assert "tiny seed 1 (retraining, 0 of 12 epochs)" in remark
    write_table(tmp_path, tmp_path / "out", ["first"])
    text = (tmp_path / "out/table9.md").read_text()
    assert "- first\n" in text
    assert remark in text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table9.md", "table9.csv", "table9.svg"}


def test_how_runs_were_made_comes_from_the_runs(begin, tmp_path):
    begin("darts-seed0", "search", words="preset=quick data=digits")
    begin("darts-seed1", "search", words="preset=quick data=digits")
    begin("darts-seed1", "retrain", words="preset=quick")
    settings, retraining, made = made_with(read_entries(tmp_path))
    assert settings == "Settings of each search: `preset=quick data=digits`."
    assert retraining == "Settings of each retraining: `preset=quick`."
    assert made == "Begun 2026-01-02 to 2026-01-02, commit c0, torch 2, cpu, threads: 1."
    begin("darts-seed2", "search", words="preset=other", commit="c1")
    settings, _, made = made_with(read_entries(tmp_path))
    assert settings == "Settings of each search: `preset=other` and of others `preset=quick data=digits`."
    assert "commit c0 and c1" in made
    assert presets(read_entries(tmp_path)) == {"quick", "other"}


def test_nothing_finished_is_no_table(begin, tmp_path):
    with pytest.raises(InputError, match="nothing was begun"):
        write_table(tmp_path, tmp_path, [])
    begin("darts-seed1", "search", speeds=[1.0])
    with pytest.raises(InputError, match=r"darts seed 1 \(search, 1 of 12 epochs\)"):
        write_table(tmp_path, tmp_path, [])


def test_a_path_becomes_one_folder(tmp_path):
    assert entry_folder(tmp_path, "darts+ir", 1) == tmp_path / "darts+ir-seed1"
    assert entry_folder(tmp_path, "my/space.yaml", 1) == tmp_path / "my_space.yaml-seed1"
