"""The command ``retrain.py``: training, resume, evaluation, and one-line errors."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose
from omegaconf import OmegaConf

import nas
from nas.cli.commands.export import export_trained
from nas.cli.config import RetrainConfig
from nas.cli.hydra_entry import initialize_hydra, use_command_groups
from nas.cli.main import main as small
from nas.cli.retrain_command import retrain_command
from nas.cli.run_program import run_program
from nas.core.dataclass_config import build
from nas.core.errors import InputError
from nas.core.paths import shipped_folder
from nas.data import DATASETS
from nas.data.digits import load_digits
from nas.runtime.metrics_log import read_metrics
from nas.train.trained_network import load_trained, save_weights

ROOT = Path(__file__).resolve().parents[2]
TINY = ["data=digits", "data.limit=64", "channels=2", "cells=3", "epochs=2", "batch_size=16", "device=cpu"]


def composed(*overrides: str) -> RetrainConfig:
    use_command_groups("retrain")
    with initialize_hydra():
        config = compose("retrain", list(overrides))
    return build(RetrainConfig, OmegaConf.to_container(config, resolve=True))


def retrain(*overrides: str) -> None:
    retrain_command(composed(*overrides), list(overrides))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "run"
    retrain("cell=darts_v2", *TINY, f"run.dir={path}")
    return path


def test_files_of_a_run_and_the_command_to_evaluate_it(tmp_path, capsys):
    retrain("cell=darts_v2", *TINY, f"run.dir={tmp_path / 'run'}", "epochs=1")
    out = capsys.readouterr().out
    assert re.search(r"darts_v2 on digits: test accuracy [\d.]+% \(error [\d.]+%\) after epoch 1 \(the last\)", out)
    assert f"eval {tmp_path / 'run'} data=digits" in out
    names = (
        "best.pt checkpoint.pt config.yaml environment.json genotype.yaml metrics.jsonl result.json weights.safetensors"
    )
    assert set(names.split()) <= {path.name for path in (tmp_path / "run").iterdir()}


@pytest.mark.parametrize("file", ["", "checkpoint.pt", "best.pt", "weights.safetensors"])
def test_evaluation_needs_the_file_alone(trained, tmp_path, capsys, file):
    before = sorted(trained.iterdir())
    retrain(f"eval={trained / file}", "data=digits", f"output={tmp_path / 'figures.json'}")
    out, figures = capsys.readouterr().out, json.loads((tmp_path / "figures.json").read_text())
    result = json.loads((trained / "result.json").read_text())
    expected = result["best_test_accuracy" if file == "best.pt" else "test_accuracy"]
    assert figures["top1"] == expected
    assert (figures["params"], figures["macs"]) == (result["params"], result["macs"])
    assert sum(figures["images"]) == 360
    assert f"top-1 {expected:.2%}, top-5" in out
    assert re.search(r"latency of one image: median [\d.]+ ms, quartiles", out)
    assert sorted(trained.iterdir()) == before


def test_a_stopped_run_is_resumed(tmp_path, capsys):
    retrain("cell=darts_v2", *TINY, f"run.dir={tmp_path / 'run'}", "max_minutes=0.0001")
    assert f"resume={tmp_path / 'run'}" in capsys.readouterr().out
    retrain(f"resume={tmp_path / 'run'}", "max_minutes=null")
    assert len(read_metrics(tmp_path / "run/metrics.jsonl")) == 2
    with pytest.raises(InputError, match=r"epochs=7: the run in .* has epochs=2"):
        retrain(f"resume={tmp_path / 'run'}", "epochs=7")


@pytest.mark.parametrize(("data", "cutout"), [("cifar10", 16), ("cifar100", 16), ("digits", 0), ("folder", 0)])
@pytest.mark.parametrize("preset", sorted(path.stem for path in (shipped_folder("conf") / "retrain/preset").iterdir()))
def test_every_preset_works_with_every_dataset(preset, data, cutout):
    config = composed("cell=darts_v2", f"preset={preset}", f"data={data}")
    assert (config.data.name, config.data.cutout) == (data, cutout)
    epochs = {"paper": 600, "fast": 60, "quick": 10, "short": 20, "table9_cpu": 5, "table9_gpu": 60}
    assert config.settings.epochs == epochs[preset]


def test_the_cutout_can_be_set():
    assert composed("cell=darts_v2", "data.cutout=8").data.cutout == 8


def test_cells_by_name_file_and_notation_name_their_runs():
    found = composed("cell=darts_v2").genotype
    assert composed(f"cell={shipped_folder('cells') / 'darts_v2.yaml'}").genotype == found
    edges = "[('skip_connect', 0), ('skip_connect', 1)]"
    config = composed(f'cell="Genotype(normal={edges}, reduce={edges})"')
    assert config.genotype.normal == (("skip_connect", 0), ("skip_connect", 1))
    assert re.fullmatch(r"retrain-[0-9a-f]{8}", config.title)
    assert composed("cell=darts_v2").title == "retrain-darts_v2"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=digits"], "cell=null: must be given"),
        (["cell=darts_v3"], r"unknown cell 'darts_v3': did you mean"),
        (["cell=darts_v2", "epochs=0"], "epochs=0: must be at least 1"),
        (["cell=darts_v2", "stem=big"], "stem=big: must be cifar or imagenet"),
        (["cell=darts_v2", "ops=none.py"], r"ops=none\.py: no such file"),
        (["cell=darts_v2", "max_minutes=0"], "max_minutes=0.0: must be above 0"),
        (["eval=none.pt"], r"none\.pt: no such checkpoint"),
        (["eval=none.pt", "cell=darts_v2"], "cell: has no effect with eval="),
        (["eval=none.pt", "weights.lr=1"], "weights: has no effect with eval="),
        (["resume=nowhere"], "resume=nowhere: holds no run"),
    ],
)
def test_bad_input_raises_and_leaves_no_file(overrides, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        retrain(*overrides, *(["data=digits"] if "data=digits" not in overrides else []))
    assert not list(tmp_path.iterdir())


def test_evaluation_on_other_images_is_refused(trained, tmp_path):
    with pytest.raises(InputError, match="was trained on images of 8x8, these are 12x12; resize"):
        retrain(f"eval={trained}", "data=digits", "data.size=12")
    alone = tmp_path / "weights.safetensors"
    alone.write_bytes((trained / "weights.safetensors").read_bytes())
    with pytest.raises(InputError, match="was trained on digits; name the images to test it on"):
        retrain(f"eval={alone}")


@pytest.mark.parametrize("file", ["", "weights.safetensors"])
def test_a_run_is_evaluated_on_its_own_images(trained, tmp_path, file):
    for name, words in (("own", []), ("named", ["data=digits"])):
        retrain(f"eval={trained / file}", *words, f"output={tmp_path / name}")
    own, named = (json.loads((tmp_path / name).read_text()) for name in ("own", "named"))
    assert own | {"latency": 0} == named | {"latency": 0}
    with pytest.raises(InputError, match="was trained on images of 8x8, these are 12x12; resize"):
        retrain(f"eval={trained / file}", "data.size=12")


@pytest.mark.parametrize(("key", "value"), [("root", "/home"), ("cache", "../cache"), ("name", "cifar10")])
def test_the_folder_of_a_run_does_not_choose_paths_elsewhere(trained, tmp_path, key, value):
    shutil.copytree(trained, tmp_path / "theirs")
    stored = yaml.safe_load((trained / "config.yaml").read_text())
    stored["data"][key] = value
    (tmp_path / "theirs/config.yaml").write_text(yaml.safe_dump(stored))
    repeat = rf"to trust them, repeat them: eval=.* .?data\.{key}="
    text = "its settings say cifar10; give data=" if key == "name" else repeat
    with pytest.raises(InputError, match=text):
        retrain(f"eval={tmp_path / 'theirs'}")
    if key == "cache":
        retrain(f"eval={tmp_path / 'theirs'}", "data.cache=../cache")


def test_a_run_stands_for_its_cell_and_its_weights(trained, tmp_path, monkeypatch):
    """Nothing that a folder names is executed."""
    assert nas.load_genotype(str(trained)) == nas.load_genotype(trained) == nas.load_genotype("darts_v2")
    assert composed(f"cell={trained}").title == "retrain-darts_v2"
    model = nas.create_model(trained, channels=2, cells=3, pretrained=trained)
    wanted = nas.load_model(trained).network.state_dict()  # with the auxiliary head
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in model.state_dict().items())
    (tmp_path / "evil.py").write_text("raise SystemExit(9)")
    shutil.copytree(trained, tmp_path / "theirs")
    stored = yaml.safe_load((trained / "config.yaml").read_text()) | {"ops": str(tmp_path / "evil.py")}
    (tmp_path / "theirs/config.yaml").write_text(yaml.safe_dump(stored))
    monkeypatch.chdir(tmp_path)
    for words in (["show", "theirs"], ["draw", "theirs", "-o", "a.svg"], ["keep", "theirs", "a.yaml"]):
        small(words)
    retrain("eval=theirs")
    (tmp_path / "theirs/genotype.yaml").unlink()
    for cell in ("theirs", Path("theirs")):
        with pytest.raises(InputError, match=r"theirs: holds no genotype\.yaml"):
            nas.load_genotype(cell)


def test_as_a_program(tmp_path):
    """The one test with a separate process: configuration and groups come from Hydra itself."""
    command = [sys.executable, str(ROOT / "retrain.py"), "cell=darts_v2", *TINY, "preset=quick", "epochs=1"]
    done = subprocess.run([*command, "eval_every=1"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "epoch 1/1 done | train loss" in done.stderr
    assert (tmp_path / "runs/retrain-darts_v2-digits-seed0/result.json").exists()
    wrong = subprocess.run([*command, "epocs=2"], cwd=tmp_path, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr) == (2, "error: unknown key epocs: did you mean epochs?\n")


def test_evaluation_and_export_notice_what_changed(trained, tmp_path, monkeypatch):
    """The test images, of a data set of the same name, and the operators' files."""

    def changed(settings):
        dataset = load_digits(settings)
        images = dataset.test.images.clone()
        images[0, 0, 0, 0] ^= 1
        return dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, images=images))

    monkeypatch.setitem(DATASETS._entries, "digits", changed)
    with pytest.raises(InputError, match=r"changed since it was written: data\.test\.images; .*resume_anyway=data$"):
        retrain(f"eval={trained / 'checkpoint.pt'}", "data=digits")
    retrain(f"eval={trained / 'checkpoint.pt'}", "data=digits", "resume_anyway=data")
    monkeypatch.setattr("nas.train.network_spec.operators_fingerprint", lambda _: {"ops.mine.py": "1"})
    with pytest.raises(InputError, match=r"changed since it was written: ops\.mine\.py; .*resume_anyway=ops$"):
        export_trained(trained, tmp_path / "a.pt2", None, None)
    export_trained(trained, tmp_path / "a.pt2", None, "ops")
    assert (tmp_path / "a.pt2").exists()


def strict(path):
    """JSON without NaN and infinities."""

    def refuse(name):
        raise ValueError(name)

    return json.loads(path.read_text(), parse_constant=refuse)


def test_an_evaluation_that_is_not_finite_is_no_result(tmp_path, ended, trained):
    words = ("cell=darts_v2", "data=digits", "preset=quick", "channels=2", "cells=3", "data.limit=40", "epochs=1")
    code, _, complaints = ended(
        lambda: run_program("retrain", [*words, "weights.lr=1e30", f"run.dir={tmp_path / 'run'}"])
    )
    assert (code, len(complaints)) == (3, 1)
    assert "the evaluation (mean loss nan) is not finite" in complaints[0]
    assert not (tmp_path / "run" / "best.pt").exists()
    assert strict(tmp_path / "run" / "result.json")["state"] == "diverged"
    shutil.copytree(trained, tmp_path / "broken")
    network, spec = load_trained(tmp_path / "broken")
    network.classifier.bias.data[0] = float("nan")
    save_weights(tmp_path / "broken" / "weights.safetensors", network, spec)
    figures = tmp_path / "figures.json"
    evaluated = f"eval={tmp_path / 'broken' / 'weights.safetensors'}"
    code, _, complaints = ended(lambda: run_program("retrain", [evaluated, "data=digits", f"output={figures}"]))
    assert (code, len(complaints)) == (3, 1)
    assert "is not finite; these weights have no accuracy" in complaints[0]
    assert not figures.exists()
    with pytest.raises(nas.DivergedError, match="these weights have no accuracy"):
        nas.evaluate(tmp_path / "broken" / "weights.safetensors", "digits")
