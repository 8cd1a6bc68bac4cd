"""``nas predict``, and retraining that begins with the weights of another run."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

import nas
from nas.cli.main import main as small
from nas.cli.run_program import run_program

TINY = ("channels=2", "cells=3", "epochs=1", "batch_size=4", "device=cpu", "drop_path=0", "auxiliary_weight=0")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root, random = tmp_path_factory.mktemp("data") / "photos", np.random.default_rng(0)
    for part in ("train", "test"):
        for name, level in (("bright", 200), ("dark", 40)):
            (root / part / name).mkdir(parents=True)
            for index in range(8):
                pixels = (level + random.integers(-30, 30, (11, 9, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    data = ("data=folder", f"data.root={photos}", "data.size=8", f"data.cache={folder.parent / 'cache'}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        run_program("retrain", ["cell=darts_v2", *data, *TINY, "epochs=8", f"run.dir={folder}"])
    return folder


@pytest.mark.parametrize("file", ["", "weights.safetensors", "best.pt"])
def test_predicted_classes(trained, photos, tmp_path, ended, file):
    images = [str(photos / "test" / "dark" / "0.png"), str(photos / "test" / "bright")]
    table = tmp_path / "p.csv"
    code, out, _ = ended(lambda: small(["predict", str(trained / file), *images, "--top", "1", "-o", str(table)]))
    assert (code, len(out.splitlines())) == (0, 9)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    model, dataset = nas.load_model(trained / file), nas.load_dataset("folder", root=str(photos), size=8)
    probable = model(model.preprocess(dataset.test.images)).detach().softmax(1)
    for row, index in zip(rows, [8, *range(8)], strict=True):  # bright comes before dark
        assert row["class"] == dataset.classes[int(probable[index].argmax())]
        assert float(row["probability"]) == pytest.approx(float(probable[index].max()), abs=1e-5)
    found = model.predict(images[0], top=9)
    assert [sorted(name for name, _ in one) for one in found] == [["bright", "dark"]]
    assert sum(p for _, p in found[0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["missing.png"], "missing.png: cannot be read as an image"),
        (["empty"], "empty: holds no images"),
        (["a.png", "--top", "0"], "top=0: must be a whole number"),
    ],
)
def test_what_cannot_be_predicted(trained, words, part, elsewhere, ended):
    (elsewhere / "empty").mkdir()
    Image.new("RGB", (5, 5)).save(elsewhere / "a.png")
    code, out, complaints = ended(lambda: small(["predict", str(trained), *words]))
    assert (code, out, len(complaints)) == (2, "", 1)
    assert part in complaints[0]


def test_weights_that_were_not_trained_on_files(tmp_path, ended):
    images = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    settings = {"epochs": 1, "channels": 2, "cells": 3, "batch_size": 4}
    nas.run_training("darts_v2", (images, torch.arange(8) % 2), folder=tmp_path / "run", **settings)
    with pytest.raises(nas.InputError, match="was not trained on image files; allowed: arrays"):
        nas.load_model(tmp_path / "run").predict("a.png")
    assert len(nas.load_model(tmp_path / "run").predict(images, top=1)) == 8


def retrain(ended, *words):
    return ended(lambda: run_program("retrain", list(words)))


def test_training_begins_with_other_weights(trained, tmp_path, ended):
    """Other classes: cell and sizes are the file's, the classifier is new, the preparation stays."""
    words = ("data=digits", "data.limit=64", "data.pad=0", *TINY[2:], f"run.dir={tmp_path / 'tuned'}")
    start = (f"init={trained}", *words, "weights.lr=1e-9", "weights.lr_min=1e-9")
    code, out, complaints = retrain(ended, *start)
    assert (code, complaints) == (0, [])
    assert f"weights from {trained}; new classifiers for 10 other classes" in out
    tuned, first = nas.load_model(tmp_path / "tuned"), nas.load_model(trained)
    assert (tuned.spec.mean, tuned.spec.std) == (first.spec.mean, first.spec.std)
    assert (tuned.spec.channels, tuned.spec.cells, tuned.spec.genotype) == (2, 3, first.spec.genotype)
    theirs = dict(first.network.named_parameters())
    for name, value in tuned.network.named_parameters():
        assert name.startswith("classifier") or torch.allclose(value, theirs[name], atol=1e-6), name
    code, _, complaints = retrain(ended, *start, "resume=true")
    assert (code, complaints) == (0, [])
    code, _, complaints = retrain(ended, f"init={trained}", "channels=4", *words, "run.dir=other")
    assert code == 2
    assert "of another network, with channels=2, not 4" in complaints[-1]


def test_evaluation_prepares_images_as_the_training_did(trained, photos, elsewhere, ended):
    base = (f"eval={trained}", "data=folder", f"data.root={photos}", "data.size=8")
    code, _, complaints = retrain(ended, *base, "data.stream=true", "data.workers=0")
    assert (code, len(complaints)) == (2, 1)
    assert "that were resized to squares (data.size); these are cropped (data.stream=true)" in complaints[0]
    assert retrain(ended, *base).code == 0


def test_a_folder_is_read_as_in_the_training(trained, photos, elsewhere, ended):
    folder = elsewhere / "new"
    (folder / "deep").mkdir(parents=True)
    image = (photos / "test" / "dark" / "0.png").read_bytes()
    (folder / "deep" / "unsuffixed").write_bytes(image)
    (folder / "notes.txt").write_text("no image")
    (folder / "linked").symlink_to(photos / "test" / "bright")
    code, out, complaints = ended(lambda: small(["predict", str(trained), "new", "--top", "1"]))
    assert (code, len(out.splitlines())) == (0, 9)
    assert "new/deep/unsuffixed: " in out
    assert "new/linked/0.png: " in out
    assert complaints == ["warning: new: 1 file is not read as an image (1 .txt)"]
