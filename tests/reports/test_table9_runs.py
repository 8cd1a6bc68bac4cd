"""The run folders of Table 9: rows of finished entries, remarks on settings and on unfinished ones."""

import json

import pytest

from nas.core.errors import InputError
from nas.graph.genotype_yaml import save_genotype
from nas.graph.zoo import load_genotype
from nas.reports.table9 import Table9Row
from nas.reports.table9_runs import (
    entry_folder,
    provenance_remarks,
    read_entries,
    read_row,
    unfinished_remarks,
    used_presets,
    write_table,
)

SEARCHED = {"seconds": 5.0}
TRAINED = {"test_accuracy": 0.75, "params": 7, "macs": 11, "seconds": 9.0}


@pytest.fixture
def write_run(tmp_path):
    """Return a function that writes the folder of a run as the commands do, finished if it has a result."""

    def write(name, stage, result=None, speeds=(), words="preset=quick", commit="c0"):
        folder = tmp_path / name / stage
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("epochs: 12\n")
        command = f"python -c seed=0 space=darts {words} 'run.dir=\"{folder}\"' resume=true"
        session = {"date": "2026-01-02", "command": command, "git_commit": commit, "torch": "2", "processor": "cpu"}
        (folder / "environment.json").write_text(json.dumps([{**session, "threads": 1}]))
        rows = [json.dumps({"epoch": epoch, "images_per_second": speed}) for epoch, speed in enumerate(speeds)]
        (folder / "metrics.jsonl").write_text("".join(row + "\n" for row in rows))
        if result is not None:
            (folder / "result.json").write_text(json.dumps(result))
        return folder

    return write


def test_a_row_is_read_from_two_runs(write_run, tmp_path):
    write_run("darts-seed3", "search", SEARCHED, [None, 10.0, 30.0, 20.0])
    retrain = write_run("darts-seed3", "retrain", TRAINED, [80.0])
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


def test_a_given_cell_is_only_retrained(write_run, tmp_path):
    for name in ("darts_v2", "mine"):
        folder = write_run(f"{name}-seed0", "retrain", TRAINED)
        save_genotype(
            load_genotype("darts_v2" if name == "darts_v2" else "found_small_cifar10_jpeg"), folder / "genotype.yaml"
        )
    published, given = map(read_row, read_entries(tmp_path))
    assert published == Table9Row(
        "darts_v2 (published cell)",
        0,
        25.0,
        7,
        11,
        retrain_seconds=9.0,
        given_cell=True,
        method="",
        super_operators=0,
        edges=16,
    )
    assert given.space == "mine (given cell)"


def test_all_entries_in_the_order_of_the_paper(write_run, tmp_path):
    for name in ("darts_v2-seed0", "tiny-seed0", "darts+sandglass-seed10", "darts+sandglass-seed9", "darts-seed0"):
        if name != "darts_v2-seed0":
            write_run(name, "search", SEARCHED)
        write_run(name, "retrain", TRAINED)
    names = [(entry.name, entry.seed) for entry in read_entries(tmp_path)]
    sandglass = [("darts+sandglass", 9), ("darts+sandglass", 10)]
    assert names == [("darts", 0), *sandglass, ("tiny", 0), ("darts_v2", 0)]


def test_unfinished_entries_are_named(write_run, tmp_path):
    write_run("darts-seed0", "search", SEARCHED)
    write_run("darts-seed0", "retrain", TRAINED)
    assert unfinished_remarks(read_entries(tmp_path)) == []
    write_run("darts-seed1", "search", speeds=[1.0, 1.0, 1.0])
    write_run("darts+ir-seed1", "search", SEARCHED)
    write_run("tiny-seed1", "search", SEARCHED)
    write_run("tiny-seed1", "retrain")
    (remark,) = unfinished_remarks(read_entries(tmp_path))
    assert "darts seed 1 (search, 3 of 12 epochs)" in remark
    assert "darts+ir seed 1 (search finished, retraining not started)" in remark
    assert "tiny seed 1 (retraining, 0 of 12 epochs)" in remark
    write_table(tmp_path, tmp_path / "out", ["first"])
    text = (tmp_path / "out/table9.md").read_text()
    assert "- first\n" in text
    assert remark in text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table9.md", "table9.csv", "table9.svg"}


def test_remarks_on_settings_come_from_the_runs(write_run, tmp_path):
    write_run("darts-seed0", "search", words="preset=quick data=digits")
    write_run("darts-seed1", "search", words="preset=quick data=digits")
    write_run("darts-seed1", "retrain", words="preset=quick")
    settings, retraining, made = provenance_remarks(read_entries(tmp_path))
    assert settings == "Settings of each search: `preset=quick data=digits`."
    assert retraining == "Settings of each retraining: `preset=quick`."
    assert made == "Started 2026-01-02 to 2026-01-02, commit c0, torch 2, cpu, threads: 1."
    write_run("darts-seed2", "search", words="preset=other", commit="c1")
    settings, _, made = provenance_remarks(read_entries(tmp_path))
    assert settings == "Settings of each search: `preset=other`, or `preset=quick data=digits`."
    assert "commit c0 and c1" in made
    assert used_presets(read_entries(tmp_path)) == {"quick", "other"}


def test_a_table_without_finished_entries_is_rejected(write_run, tmp_path):
    with pytest.raises(InputError, match="No run was started"):
        write_table(tmp_path, tmp_path, [])
    write_run("darts-seed1", "search", speeds=[1.0])
    with pytest.raises(InputError, match=r"darts seed 1 \(search, 1 of 12 epochs\)"):
        write_table(tmp_path, tmp_path, [])


def test_a_path_as_name_becomes_one_folder(tmp_path):
    assert entry_folder(tmp_path, "darts+ir", 1) == tmp_path / "darts+ir-seed1"
    assert entry_folder(tmp_path, "my/space.yaml", 1) == tmp_path / "my_space.yaml-seed1"


def test_methods_and_random_cells_are_entries_of_their_own(write_run, tmp_path):
    for name, cell in (("darts-pc_darts-seed1", "pc_darts_cifar"), ("darts-random-seed0", "darts_v1")):
        retrain = write_run(name, "retrain", TRAINED)
        save_genotype(load_genotype(cell), retrain / "genotype.yaml")
    search = write_run("darts-pc_darts-seed1", "search", SEARCHED)
    (search / "config.yaml").write_text("epochs: 12\nmethod: pc_darts\n")
    save_genotype(load_genotype("darts_v1"), tmp_path / "darts-random-seed0" / "genotype.yaml")
    found, drawn = map(read_row, read_entries(tmp_path))
    assert (found.space, found.method, found.seed, found.given_cell) == ("darts", "pc_darts", 1, False)
    assert (found.super_operators, found.edges) == (0, 16)
    assert (drawn.space, drawn.method, drawn.title, drawn.search_seconds) == ("darts", "random", "darts, random", None)


def test_rows_of_elsewhere_join_those_of_the_folder(write_run, tmp_path):
    write_run("darts-seed1", "search", SEARCHED)
    write_run("darts-seed1", "retrain", TRAINED)
    write_table(tmp_path, tmp_path, [], [Table9Row("darts", 1, 99.0), Table9Row("darts", 0, 35.0)])
    lines = (tmp_path / "table9.csv").read_text().splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [["darts", "0", "35.0"], ["darts", "1", "25.0"]]
