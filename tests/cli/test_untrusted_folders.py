"""Untrusted run folders, cells and spaces: nothing in them is executed, no path in them is followed outside."""

import os
import shlex
import sys

import pytest
import yaml

from nas.cli.main import main as small
from nas.ops.registry import operators
from tests.helpers.processes import without_note

OPS = """
import pathlib, nas
pathlib.Path("was-run").write_text("")
@nas.register_operator("mine_3x3")
def mine(channels, stride, affine):
    return nas.ops.registry.operators["conv_3x3"].build(channels, stride, affine)
"""
SPACE = "operators: [mine_3x3, skip_connect]\ntopology: {intermediate_nodes: 2}\n"


@pytest.fixture
def folder(search, elsewhere):
    """A run stopped by its time limit, in ``theirs``."""
    assert search("run.dir=theirs", "max_minutes=1e-9").code == 0
    return elsewhere / "theirs"


def change(folder, key: str, value: object) -> None:
    data = yaml.safe_load((folder / "config.yaml").read_text())
    first, _, second = key.partition(".")
    (data[first] if second else data)[second or first] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(data))


def contents(folder) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(ended, *parts: str) -> None:
    assert (ended.code, len(ended.complaints)) == (2, 1), ended
    assert all(part in ended.complaints[0] for part in parts), ended.complaints


def test_operators_are_not_run_because_a_folder_names_them(folder, run, elsewhere):
    (elsewhere / "theirs/evil.py").write_text(OPS)
    change(folder, "ops", "theirs/evil.py")
    before = contents(elsewhere)
    for also in ([], ["seed=0"], ["epochs=1"]):
        refused(
            run("resume=theirs", *also),
            "resume=theirs: names code",
            "to trust them, repeat them: resume=theirs ops=theirs/evil.py",
        )
    refused(run("resume=true", "run.dir=theirs", "space=tiny", "data=digits"), "ops=theirs/evil.py")
    assert contents(elsewhere) == before
    assert run("resume=theirs", "ops=theirs/evil.py", "max_minutes=null").code == 0
    assert (elsewhere / "was-run").exists()


def test_user_operators_are_part_of_the_command_to_resume(search, run, elsewhere):
    """The file may have moved since; if its name changed, it counts as another one."""
    (elsewhere / "my ops.py").write_text(OPS.replace('"was-run"', '"was-run-again"'))
    (elsewhere / "my.yaml").write_text(SPACE)
    ended = search('ops="my ops.py"', f"space={elsewhere}/my.yaml", "run.dir=mine", "max_minutes=1e-9")
    assert (ended.code, ended.complaints) == (0, [])
    (line,) = [line for line in ended.out.splitlines() if line.startswith("resume with: ")]
    words = shlex.split(line)[4:]
    assert words == ["resume=mine", 'ops="my ops.py"', f"space={elsewhere}/my.yaml"]
    (elsewhere / "my ops.py").rename(elsewhere / "renamed.py")
    operators._entries.pop("mine_3x3")  # a new process
    refused(run("resume=mine", "ops=renamed.py", words[2]), "ops.my ops.py, ops.renamed.py", "resume_anyway=ops")
    (elsewhere / "moved").mkdir()
    (elsewhere / "renamed.py").rename(elsewhere / "moved/my ops.py")
    operators._entries.pop("mine_3x3")
    ended = run("resume=mine", 'ops="moved/my ops.py"', words[2], "max_minutes=null")
    assert (ended.code, ended.complaints) == (0, [])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("space", "/etc/passwd.yaml"),
        ("space", "tiny+../../secret.yaml"),
        ("data.root", "/home"),
        ("data.root", "~/photos"),
        ("data.cache", "../../cache"),
    ],
)
def test_paths_in_a_folder_are_not_followed_outside(key, value, folder, run, elsewhere):
    change(folder, key, value)
    before = contents(elsewhere)
    refused(run("resume=theirs"), "resume=theirs", "repeat them: resume=theirs", f"{key}=", value)
    assert contents(elsewhere) == before


def test_links_in_a_folder_are_not_written_through(folder, run, elsewhere):
    (elsewhere / "thesis").mkdir()
    (folder / "genotypes").symlink_to(elsewhere / "thesis")
    refused(run("resume=theirs"), "theirs/genotypes: is a link")
    assert not list((elsewhere / "thesis").iterdir())


@pytest.mark.parametrize("name", ["config.yaml", "checkpoint.pt", "metrics.jsonl", "environment.json"])
def test_a_pipe_in_a_folder_is_not_waited_for(name, folder, run):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(run("resume=theirs", "max_minutes=null"), f"theirs/{name}: is not a regular file")


def test_a_lock_that_is_a_link_does_not_overwrite_its_target(folder, run, elsewhere):
    (elsewhere / "thesis.tex").write_text("mine")
    (folder / "lock").symlink_to(elsewhere / "thesis.tex")
    refused(run("resume=theirs"), "theirs/lock: is a link")
    (elsewhere / "new").mkdir()
    (elsewhere / "new/lock").symlink_to(elsewhere / "thesis.tex")
    refused(run("run.dir=new", "space=tiny", "data=digits"), "new/lock: is a link")
    assert (elsewhere / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/random", "pipe", "/proc/self/mem", "/etc"])
@pytest.mark.parametrize("ending", [".yaml", ".txt"])
def test_devices_and_pipes_as_cells_and_spaces(place, ending, run, elsewhere, ended):
    """Linked from a name with the right ending."""
    if place == "pipe":
        os.mkfifo(elsewhere / "pipe")
    (elsewhere / f"cell{ending}").symlink_to(elsewhere / place)
    refused(ended(lambda: small(["show", f"cell{ending}"])), f"cell{ending}")
    if ending == ".yaml":
        refused(run("space=cell.yaml", "data=digits"), "cell.yaml")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "darts_v2/../../x"])
def test_the_name_of_a_cell_is_not_a_path(name, ended, elsewhere):
    refused(ended(lambda: small(["show", name])), "unknown cell")


def test_a_cell_does_not_choose_the_folder_of_its_drawing(ended, elsewhere):
    edges = "{2: [[skip_connect, 0], [skip_connect, 1]], concat: [2]}"
    (elsewhere / "inside").mkdir()
    cell = elsewhere / "inside/cell.yaml"
    for name, file in (("../../escaped", "_.._escaped.svg"), ("/tmp/escaped", "_tmp_escaped.svg"), ("..", "cell.svg")):
        cell.write_text(f"name: {name}\nnormal: {edges}\nreduce: {edges}\n")
        assert without_note(ended(lambda: small(["draw", str(cell)])).out) == f"{file}\n"
        assert (elsewhere / file).exists()


def test_operators_named_by_a_trained_network_are_not_run(elsewhere, ended, monkeypatch):
    import torch

    from nas.graph.zoo import load_genotype
    from nas.storage.checkpoint import save_checkpoint
    from nas.train.network_spec import NetworkSpec

    (elsewhere / "evil.py").write_text(OPS)
    cell = load_genotype("Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], reduce=[('skip_connect', 0), "
                         "('skip_connect', 1)])")  # fmt: skip
    thirds = (0.5, 0.5, 0.5)
    spec = NetworkSpec(cell, 2, 3, "cifar", False, "digits", ("a", "b"), (3, 8, 8), thirds, thirds, "evil.py")
    data = spec.to_dict()
    data["genotype"] = data["genotype"].replace("skip_connect", "mine_3x3")
    save_checkpoint(elsewhere / "a.pt", {"network": data, "model": {str(i): torch.ones(1) for i in range(9)}})
    refused(ended(lambda: small(["export", "a.pt", "-o", "a.pt2"])), "a.pt", "mine_3x3", "ops=evil.py")
    assert not (elsewhere / "was-run").exists()
    assert "evil" not in " ".join(sys.modules)


@pytest.mark.parametrize("key", ["epochs", "weights.lr", "alphas.beta1"])
def test_a_stored_setting_that_is_missing_does_not_get_its_default(key, folder, run):
    data = yaml.safe_load((folder / "config.yaml").read_text())
    first, _, second = key.partition(".")
    del (data[first] if second else data)[second or first]
    (folder / "config.yaml").write_text(yaml.safe_dump(data))
    refused(run("resume=theirs"), f"config.yaml: {key} is missing")
