"""A search from its command line to its report: files, folders, resume."""

import json

import pytest
import yaml
from PIL import Image

from nas.graph.zoo import load_genotype
from nas.runtime.metrics_log import read_metrics
from nas.storage.checkpoint import load_checkpoint
from tests.helpers.command_lines import TINY
from tests.helpers.processes import resume_arguments

NAME = "runs/tiny-digits-seed0"


def test_files_of_a_run(search, elsewhere):
    code, out, complaints = search()
    assert (code, complaints) == (0, [])
    folder = elsewhere / NAME
    names = {path.name for path in folder.iterdir()}
    pictures = {f"{kind}.{ending}" for kind in ("normal", "reduce") for ending in ("svg", "png")}
    texts = {"config.yaml", "environment.json", "fingerprint.json", "metrics.jsonl", "alphas.jsonl", "result.json"}
    assert names == {*pictures, *texts, "genotype.yaml", "checkpoint.pt", "genotypes", "tensorboard"}
    found = load_genotype(folder / "genotype.yaml")
    assert load_genotype(folder / "genotypes/epoch-001.yaml") == found
    assert load_genotype(next(line for line in out.splitlines() if line.startswith("Genotype("))) == found
    assert (found.origin.space, found.origin.dataset, found.origin.seed) == ("tiny", "digits", 0)
    for kind in ("normal", "reduce"):
        with Image.open(folder / f"{kind}.png") as image:
            image.load()
        assert "</svg>" in (folder / f"{kind}.svg").read_text()
    assert any((folder / "tensorboard").iterdir())
    assert [row["epoch"] for row in read_metrics(folder / "metrics.jsonl")] == [1]
    assert load_checkpoint(folder / "checkpoint.pt")["epoch"] == 1


def test_contents_of_config_environment_and_result(search, elsewhere):
    out = search("seed=5").out
    folder = elsewhere / "runs/tiny-digits-seed5"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["seed"], config["channels"], config["resume"]) == (5, 2, False)
    assert config["data"]["name"] == "digits"
    (session,) = json.loads((folder / "environment.json").read_text())
    assert session["seed"] == 5
    assert "space=tiny" in session["command"]
    assert session["torch"]
    result = json.loads((folder / "result.json").read_text())
    assert f"{result['network']['params']:,} parameters, {result['network']['macs']:,} multiply-adds" in out
    assert load_genotype(result["genotype"]) == load_genotype(folder / "genotype.yaml")


def test_a_second_run_gets_its_own_folder(search, elsewhere):
    assert search().code == 0
    first = {path: path.read_bytes() for path in (elsewhere / NAME).rglob("*") if path.is_file()}
    assert f"run folder: {NAME}-2" in search().out
    assert {path: path.read_bytes() for path in (elsewhere / NAME).rglob("*") if path.is_file()} == first
    assert (elsewhere / f"{NAME}-2/genotype.yaml").exists()


def test_other_settings(search, pictures, elsewhere):
    """A folder of images, second order, bf16, several spaces, a given run folder."""
    code, out, complaints = search(
        "data=folder", "data.root=photos", "data.pad=1", "order=2", "precision=bf16", "space=tiny+sandglass+ir",
        "run.dir=my run/a+b",
    )  # fmt: skip
    assert (code, complaints) == (0, [])
    assert "searching tiny+sandglass+ir on folder" in out
    assert load_genotype(elsewhere / "my run/a+b/genotype.yaml").origin.space == "tiny+sandglass+ir"


@pytest.mark.parametrize("place", [None, "my runs/the 'first', \"best\" = {1}", "a $HOME#+~,[x]", "ümläut:x"])
def test_a_stopped_search_prints_the_command_to_resume(place, run, elsewhere):
    """The folders' names hold + and other characters special to a shell or Hydra."""
    quoted = place and place.replace('"', '\\"')
    where = [f'run.dir="{quoted}"'] if place else []
    code, out, complaints = run(*TINY, "space=tiny+ir", "max_minutes=1e-9", *where)
    assert (code, complaints) == (0, [])
    folder = elsewhere / (place or "runs/tiny+ir-digits-seed0")
    assert (folder / "checkpoint.pt").exists()
    assert json.loads((folder / "result.json").read_text())["state"] == "stopped"
    code, out, complaints = run(*resume_arguments(out), "max_minutes=null")
    assert (code, complaints) == (0, [])
    assert json.loads((folder / "result.json").read_text())["state"] == "finished"
    assert len(json.loads((folder / "environment.json").read_text())) == 2


@pytest.mark.parametrize("how", [["resume=true"], [f"resume={NAME}"]])
def test_resume(how, search, run, elsewhere):
    search("max_minutes=1e-9")
    code, out, _ = run("space=tiny", "data=digits", *how, "max_minutes=null")
    assert (code, f"run folder: {NAME}\n" in out) == (0, True)
    assert (elsewhere / NAME / "result.json").exists()
    assert [path.name for path in (elsewhere / "runs").iterdir()] == ["tiny-digits-seed0"]


def test_resume_true_starts_a_new_run_if_there_is_none(search, elsewhere):
    assert search("resume=true").code == 0
    assert (elsewhere / NAME / "result.json").exists()
    assert search("resume=true").code == 0
    assert [row["epoch"] for row in read_metrics(elsewhere / NAME / "metrics.jsonl")] == [1]


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("seed=1", ["seed=1", "seed=0"]),
        ("epochs=2", ["epochs=2", "epochs=1"]),
        ("weights.lr=0.1", ["weights.lr=0.1", "0.025"]),
        ("objective.params=0.1", ["objective.params=0.1", "objective.params=0.0"]),
        ("data=cifar10", ["data=cifar10", "digits"]),
        ("space=darts", ["space=darts", "tiny"]),
    ],
)
def test_settings_that_contradict_the_resumed_run(setting, parts, search, run, elsewhere):
    search("max_minutes=1e-9")
    code, out, complaints = run(f"resume={NAME}", setting)
    assert (code, out, len(complaints)) == (2, "", 1)
    assert all(part in complaints[0] for part in [*parts, NAME])


def test_a_run_older_than_a_setting_has_its_default(search, run, elsewhere):
    search("max_minutes=1e-9")
    config = elsewhere / NAME / "config.yaml"
    stored = yaml.safe_load(config.read_text())
    for name in ("objective", "execution", "grad_checkpoint", "keep_checkpoints"):
        del stored[name]
    config.write_text(yaml.safe_dump(stored))
    code, _, complaints = run(f"resume={NAME}", "objective.params=0.1")
    assert (code, len(complaints)) == (2, 1)
    assert "objective.params=0.1" in complaints[0]
    assert "objective.params=0.0" in complaints[0]
    code, _, complaints = run(*TINY, "preset=quick", "resume=true", "max_minutes=null")
    assert (code, complaints[0].count("alphas.lr=0.001: of the preset")) == (2, 1)  # the preset has another rate
    assert f"continue it with resume={NAME} and without the preset" in complaints[0]
    assert run(*TINY, "preset=quick", "alphas.lr=3e-4", "resume=true", "max_minutes=null").code == 0
    assert (elsewhere / NAME / "result.json").exists()


DAMAGES = {
    "half of it": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(b"noise" * 1000),
    "a flipped bit": lambda path: path.write_bytes(path.read_bytes().replace(b"alpha_normal", b"alpha_mormal")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint(damage, search, run, elsewhere):
    search("max_minutes=1e-9")
    DAMAGES[damage](elsewhere / NAME / "checkpoint.pt")
    code, _, complaints = run(f"resume={NAME}")
    assert (code, len(complaints)) == (2, 1)
    assert f"{NAME}/checkpoint.pt" in complaints[0]


def test_a_run_killed_before_its_first_checkpoint_starts_again(search, run, elsewhere):
    search("max_minutes=1e-9")
    (elsewhere / NAME / "checkpoint.pt").unlink()
    assert run(f"resume={NAME}", "max_minutes=null").code == 0
    assert (elsewhere / NAME / "result.json").exists()


def test_damaged_configuration_of_a_run(search, run, elsewhere):
    search("max_minutes=1e-9")
    (elsewhere / NAME / "config.yaml").write_text("space: [")
    code, _, complaints = run(f"resume={NAME}")
    assert (code, len(complaints)) == (2, 1)
    assert f"{NAME}/config.yaml" in complaints[0]


def test_sweep(run, elsewhere):
    code, _, complaints = run("-m", *TINY, "seed=0,1")
    assert (code, complaints) == (0, [])
    assert {"tiny-digits-seed0", "tiny-digits-seed1"} <= {path.name for path in (elsewhere / "runs").iterdir()}


def test_resume_with_other_settings(run):
    """``resume=PATH`` keeps the run's settings; ``resume=true`` repeats the run's own command line."""
    assert run(*TINY, "run.dir=a", "max_minutes=1e-9").code == 0
    for words, culprit in [
        (["resume=a", "preset=quick"], "preset"),
        (["resume=a", "run.dir=b"], "run.dir=b"),
        ([*TINY, "run.dir=a", "resume=true", "preset=quick", "channels=3"], "channels=3"),
    ]:
        code, _, complaints = run(*words)
        assert code == 2
        assert culprit in complaints[0]
    assert run("resume=a", "threads=1", "max_minutes=null").code == 0


@pytest.mark.parametrize(("setting", "lines"), [("on", ["warning: compiled kernels: no compiler here"]), ("off", [])])
def test_a_missing_compiler_is_said_unless_kernels_are_off(setting, lines, search, monkeypatch):
    monkeypatch.setenv("NAS_KERNELS", setting)
    monkeypatch.setattr("nas.cli.setup.load_library", lambda: (None, "no compiler here"))
    assert search().complaints == lines
