"""From data of one's own to a trained network, as ``docs/data.md`` describes it: search, retraining, evaluation."""

import gzip
import json
import sys

import numpy as np
import pytest
from PIL import Image

from nas.cli import retrain
from nas.train.trained_model import load_model
from tests.helpers.command_lines import ROOT

SIZES = ["channels=2", "cells=3", "threads=1", "batch_size=16", "run.dir=R"]
RANDOM = np.random.default_rng(0)
HALF = np.arange(64) % 2


@pytest.fixture(autouse=True)
def same_numbers():
    """Draw the same numbers in a test whichever tests ran before it in the same process."""
    RANDOM.bit_generator.state = np.random.default_rng(2).bit_generator.state


@pytest.fixture
def train(elsewhere, monkeypatch, ended):
    """Run ``retrain.py`` with a small cell and further arguments."""

    def call(*arguments):
        words = ["cell=darts_v2", "preset=quick", "drop_path=0", "auxiliary_weight=0", *SIZES]
        given = list(arguments) if arguments[0].startswith("eval=") else [*words, *arguments]
        monkeypatch.setattr(sys, "argv", [str(ROOT / "retrain.py"), *given])
        return ended(retrain.main)

    return call


def gray_28x28(folder):
    """Write images with a bright upper or lower half, in the files of FashionMNIST."""
    folder.mkdir()
    for part, number in (("train", 64), ("t10k", 20)):
        labels = (np.arange(number) % 2).astype(np.uint8)
        images = RANDOM.integers(0, 100, (number, 28, 28)).astype(np.uint8)
        images[labels == 0, :14] += 120
        images[labels == 1, 14:] += 120
        for name, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            (folder / f"{name}.gz").write_bytes(gzip.compress(header + values.tobytes()))


def flat_photos(folder):
    """Write photos of several sizes, dark cats and bright dogs, one folder a class."""
    for index, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for number in range(24):
            pixels = RANDOM.integers(0, 100, (9 + number % 3, 12, 3)) + 120 * index
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.jpg")


def arrays(file, channels, labels):
    """Write float images the channels of which carry the labels, (64,) or (64, K)."""
    images = 0.3 * RANDOM.normal(size=(64, channels, 8, 8))
    columns = labels.reshape(64, -1)
    images[:, : columns.shape[1]] += columns[:, :, None, None]
    parts = {"train_images": images[:48], "train_labels": labels[:48]}
    np.savez(file, **parts, test_images=images[48:], test_labels=labels[48:])


def test_gray_images_of_torchvision(elsewhere, train):
    gray_28x28(elsewhere / "files")
    data = ["data=torchvision", "data.dataset=FashionMNIST", "data.root=files", "data.size=8"]
    code, out, complaints = train(*data, "epochs=12")
    assert (code, len(complaints)) == (0, 1)  # the training set has no image of the other eight classes
    assert "data=torchvision data.root=files data.size=8 data.dataset=FashionMNIST" in out
    figures = json.loads((elsewhere / "R/result.json").read_text())
    assert figures["test_accuracy"] >= 0.9
    assert load_model(elsewhere / "R").image_shape == (1, 8, 8)
    code, out, _ = train("eval=R", *data)
    assert code == 0
    assert f"top-1 {figures['test_accuracy']:.2%}" in out


def test_a_flat_folder_of_photos(elsewhere, run, train):
    flat_photos(elsewhere / "photos")
    data = ["data=folder", "data.root=photos", "data.size=8", "data.test_fraction=0.25"]
    code, out, complaints = run(
        "space=tiny", "preset=quick", *data, "data.pad=0", "epochs=1", "sampling=balanced", *SIZES
    )
    assert (code, complaints) == (0, [])
    retrain = "data=folder data.root=photos data.size=8 data.test_fraction=0.25 sampling=balanced"
    assert retrain in out
    code, _, complaints = train(*data, "data.pad=0", "cell=R/genotype.yaml", "epochs=25", "run.dir=T", "channels=4")
    assert (code, complaints) == (0, [])
    assert json.loads((elsewhere / "T/result.json").read_text())["test_accuracy"] == 1
    assert load_model(elsewhere / "T").classes == ("cat", "dog")


@pytest.mark.parametrize("channels", [3, 7])
def test_float_arrays(elsewhere, train, channels):
    arrays(elsewhere / "a.npz", channels, HALF)
    code, _, complaints = train(
        "data=arrays", "data.root=a.npz", "epochs=8", "class_weights=balanced", "sampling=balanced"
    )
    assert (code, complaints) == (0, [])
    assert json.loads((elsewhere / "R/result.json").read_text())["test_accuracy"] == 1
    assert load_model(elsewhere / "R").image_shape == (channels, 8, 8)


def test_several_classes_at_once(elsewhere, run, train):
    marks = (np.arange(64)[:, None] >> np.arange(3)) % 2 * 1.0
    arrays(elsewhere / "a.npz", 3, marks)
    data = ["data=arrays", "data.root=a.npz", "loss=bce"]
    code, out, complaints = run("space=tiny", "preset=quick", *data, "epochs=1", *SIZES)
    assert (code, complaints) == (0, [])
    assert "data=arrays data.root=a.npz loss=bce" in out
    assert " acc " not in out
    code, _, complaints = train(*data, "epochs=15", "run.dir=T", "cell=R/genotype.yaml", "channels=8")
    assert (code, complaints) == (0, [])
    figures = json.loads((elsewhere / "T/result.json").read_text())
    assert figures["test_accuracy"] is None
    assert figures["test_metric"] > 0.9  # mean average precision; about 0.5 by chance
    code, out, _ = train("eval=T", *data[:2])
    assert code == 0
    assert f"map {figures['test_metric']:.4g}" in out
    chances = dict(load_model(elsewhere / "T").predict(np.float32(np.load("a.npz")["test_images"][7]), top=3)[0])
    assert sum(chances.values()) > 1.5  # 55 = 0b110111 has all three


def test_regression_of_two_numbers(elsewhere, train):
    arrays(elsewhere / "a.npz", 3, RANDOM.uniform(-1, 1, (64, 2)))
    code, _, complaints = train("data=arrays", "data.root=a.npz", "loss=mse", "metric=r2", "epochs=30", "channels=8")
    assert (code, complaints) == (0, [])
    figures = json.loads((elsewhere / "R/result.json").read_text())
    assert figures["test_metric"] > 0.5  # of the variance; 0 for the mean target
    assert figures["best_test_metric"] >= figures["test_metric"]
    model, saved = load_model(elsewhere / "R"), np.load("a.npz")
    values = np.array([[v for _, v in row] for row in model.predict(np.float32(saved["test_images"]))])
    errors = ((values - saved["test_labels"]) ** 2).sum()
    assert 1 - errors / ((saved["test_labels"] - saved["test_labels"].mean(0)) ** 2).sum() > 0.5


def test_a_loss_that_does_not_fit_leaves_no_folder(elsewhere, run, train):
    arrays(elsewhere / "a.npz", 3, RANDOM.uniform(-1, 1, (64, 2)))
    for command, first in ((run, ["space=tiny", "preset=quick", *SIZES]), (train, [])):
        code, _, (line,) = command(*first, "data=arrays", "data.root=a.npz")
        assert code == 2
        assert line.startswith("error: loss=cross_entropy: data=arrays has targets (N, 2), not one class")
        assert not (elsewhere / "R").exists()
    code, _, (line,) = run("space=tiny", "data=arrays", "data.root=a.npz", "loss=mse", "method=random", *SIZES)
    assert code == 2
    assert "method=random" in line
