"""Search, training and evaluation from Python."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

import nas
from nas.core.run_files import CHECKPOINT, METRICS, RESULT, SETTINGS
from nas.runtime.metrics_log import read_metrics
from tests.helpers.runs import same, search_state, train_state

SEARCH = {"epochs": 1, "channels": 2, "cells": 3, "batch_size": 8, "verbose": False}
TRAIN = {**SEARCH, "drop_path": 0.0}
GENOTYPE = nas.load_genotype("darts_v2")


@pytest.fixture(scope="module")
def data():
    """48 images with 2 channels in any range, in 3 classes that differ in brightness; 24 of them for the test."""
    labels = torch.arange(48) % 3
    images = 40 * labels.view(-1, 1, 1, 1) + torch.randn(48, 2, 6, 6, generator=torch.Generator().manual_seed(0)) - 1000
    return (images[:24], labels[:24]), (images[24:], labels[24:])


def test_the_way_from_data_to_a_loaded_network(data, tmp_path):
    found = nas.run_search("tiny", data, folder=tmp_path / "s", **SEARCH)
    assert found.finished
    assert found.network(channels=2, cells=3)(torch.zeros(2, 2, 6, 6)).shape == (2, 3)
    assert json.loads((tmp_path / "s" / RESULT).read_text())["epochs"] == 1
    assert "<svg" in found._repr_html_()
    trained = nas.run_training(found.genotype, data, folder=tmp_path / "t", **TRAIN | {"epochs": 8})
    model = nas.load_model(tmp_path / "t")
    assert same(model.state_dict(), trained.model.state_dict())
    assert (model.classes, model.image_shape) == (("0", "1", "2"), (2, 6, 6))
    evaluation = nas.evaluate(model, data[1], verbose=False)
    assert evaluation == nas.evaluate(tmp_path / "t", data, verbose=False) == nas.evaluate(trained, data, verbose=False)
    assert evaluation.top1 == trained.test_accuracy
    logits = model(model.preprocess(data[1][0])).detach()
    assert (logits.argmax(1) == data[1][1]).float().mean().item() == pytest.approx(evaluation.top1)
    assert F.cross_entropy(logits, data[1][1]).item() == pytest.approx(evaluation.loss, rel=1e-5)
    mean, std = data[0][0].mean((0, 2, 3)), data[0][0].std((0, 2, 3), correction=0)
    expected = (data[1][0] - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
    torch.testing.assert_close(model.preprocess(data[1][0].numpy()), expected, rtol=0, atol=1e-4)


def test_the_same_settings_give_the_same_bits_as_a_run_that_was_stopped(data, tmp_path):
    whole = nas.run_search("tiny", data, folder=tmp_path / "a", **SEARCH | {"epochs": 2})
    torch.manual_seed(5)
    before = torch.get_rng_state()
    part = nas.run_search("tiny", data, folder=tmp_path / "b", max_minutes=1e-9, **SEARCH | {"epochs": 2})
    assert not part.finished
    assert torch.equal(torch.get_rng_state(), before)  # the caller's random numbers stay as they were
    again = nas.run_search("tiny", data, folder=tmp_path / "b", resume=True, **SEARCH | {"epochs": 2})
    assert same(search_state(whole.folder), search_state(again.folder))


def test_without_a_folder_a_new_one_is_made(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [nas.run_training("darts_v2", data, **TRAIN).folder for _ in range(2)]
    assert folders == [Path("runs/retrain-darts_v2-tensors-seed0"), Path("runs/retrain-darts_v2-tensors-seed0-2")]
    assert same(train_state(folders[0]), train_state(folders[1]))


def test_a_network_is_trained_from_its_present_weights(data, tmp_path):
    network = nas.Network(GENOTYPE, 2, 3, num_classes=3, in_chans=2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    still = {"weights": {"lr": 1e-30}, "folder": tmp_path, "epochs": 1, "batch_size": 8, "verbose": False}
    trained = nas.run_training(network, data, **still)
    weights = {name: value for name, value in trained.model.network.state_dict().items() if "running" not in name}
    for name, value in weights.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, before[name])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_loss_and_a_metric_of_ones_own(data, tmp_path):
    def loss(logits, labels):
        return 3 * F.cross_entropy(logits, labels)

    def metric(logits, labels):
        return np.float32(len(labels))

    found = nas.run_search("tiny", data, folder=tmp_path / "s", loss=loss, metric=metric, **SEARCH)
    plain = nas.run_search("tiny", data, folder=tmp_path / "p", **SEARCH)
    assert not same(search_state(found.folder), search_state(plain.folder))
    assert read_metrics(found.folder / METRICS)[0]["valid_metric"] == 12
    trained = nas.run_training(GENOTYPE, data, folder=tmp_path / "t", loss=loss, metric=metric, **TRAIN)
    assert trained.test_metric == 24
    evaluation = nas.evaluate(trained, data, metric=metric, loss=loss, verbose=False)
    assert (evaluation.metric, evaluation.loss) == (24, pytest.approx(trained.test_loss))
    assert evaluation.loss == pytest.approx(3 * nas.evaluate(trained, data, verbose=False).loss)


def loaders(data, **options):
    return tuple(DataLoader(TensorDataset((x + 1000) / 40, y), batch_size=8, shuffle=True, **options) for x, y in data)


def test_two_loaders_are_the_data_of_a_search(data, tmp_path):
    pair = loaders(data)
    found = nas.run_search("tiny", pair, folder=tmp_path, **SEARCH)
    assert (found.finished, found.num_classes, found.image_shape) == (True, 3, (2, 6, 6))
    assert nas.run_search("tiny", pair, folder=tmp_path, resume=True, **SEARCH).epoch == 1


class Labels(torch.utils.data.Dataset):
    """Samples whose number of classes is not known."""

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return torch.zeros(1, 6, 6), index % 4


def test_loaders_that_do_not_fit_are_one_line(data, tmp_path, refused):
    unknown = (DataLoader(Labels(), 8), DataLoader(Labels(), 8))
    search = {"folder": tmp_path / "x", **SEARCH}
    refused("give num_classes=N", nas.run_search, "tiny", unknown, **search)
    refused("labels 0..3: must lie in 0..1", nas.run_search, "tiny", unknown, num_classes=2, **search)
    refused("augment: has no effect on DataLoaders", nas.run_search, "tiny", loaders(data), augment={}, **search)
    images = DataLoader(TensorDataset(data[0][0].byte(), data[0][1]), 8)
    refused("the loader yields images uint8", nas.run_search, "tiny", (images, images), **search)
    refused("train: a DataLoader", nas.run_training, GENOTYPE, loaders(data), **TRAIN)
    refused("only for two DataLoaders", nas.run_search, "tiny", data, num_classes=3, **search)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "unknown setting 'epoch': did you mean epochs"),
        ({"epochs": "ten"}, "epochs=ten: must be a whole number"),
        ({"epochs": 0}, "epochs=0: must be at least 1"),
        ({"weights": {"momentun": 0.1}}, "unknown key weights.momentun: did you mean momentum?"),
        ({"augment": {"pad": 6}}, "data.pad=6: must be less than the side"),
        ({"augment": {"flips": True}}, "unknown key augment.flips"),
        ({"augment": 4}, "augment: int; allowed"),
        ({"max_minutes": 0.0}, "max_minutes=0.0: must be above 0"),
        ({"device": "gpu"}, "device=gpu: must be auto, cpu or cuda"),
        ({"loss": lambda logits, labels: logits}, "loss: returned a tensor (8, 3)"),
        ({"metric": lambda logits, labels: "good"}, "metric: returned a str"),
        ({"resume": True, "folder": None}, "resume=True: needs folder"),
    ],
)
def test_bad_settings_are_one_line(data, tmp_path, refused, settings, message):
    for run, space in ((nas.run_search, "tiny"), (nas.run_training, GENOTYPE)):
        refused(message, run, space, data, **{"folder": tmp_path / run.__name__, **SEARCH, **settings})


def test_a_folder_with_a_run_is_kept(data, tmp_path, refused):
    nas.run_training(GENOTYPE, data, folder=tmp_path, **TRAIN)
    before = (tmp_path / CHECKPOINT).read_bytes()
    refused("holds a run; continue it with resume=True", nas.run_training, GENOTYPE, data, folder=tmp_path, **TRAIN)
    changed = {**TRAIN, "folder": tmp_path, "resume": True}
    refused("channels=3: the run in", nas.run_training, GENOTYPE, data, **changed | {"channels": 3})
    refused("function='run_search'", nas.run_search, "tiny", data, **{**SEARCH, "folder": tmp_path, "resume": True})
    other = (data[0][0] + 1, data[0][1]), data[1]
    refused("changed since it was written: data.", nas.run_training, GENOTYPE, other, **changed)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    (tmp_path / SETTINGS).unlink()
    refused("settings.json is missing", nas.run_training, GENOTYPE, data, **changed)


def test_a_network_that_does_not_fit_is_one_line(data, tmp_path, refused):
    network, settings = nas.Network(GENOTYPE, 2, 3, num_classes=3), {"folder": tmp_path, "verbose": False}
    refused("in_chans=3: of the network; data=tensors needs 2", nas.run_training, network, data, **settings)
    network = nas.Network(GENOTYPE, 2, 3, num_classes=4, in_chans=2)
    refused("num_classes=4: of the network", nas.run_training, network, data, **settings)
    refused("cells=5: the network has cells=3", nas.run_training, network, data, cells=5, **settings)


def test_other_images_are_not_evaluated_or_prepared(data, tmp_path, refused):
    trained = nas.run_training(GENOTYPE, data[0], folder=tmp_path, **TRAIN)
    assert (trained.test_accuracy, trained.test_metric) == (None, None)
    images, labels = data[1]
    for other, message in (
        ((images[:, :1], labels), "with 2 channels, these have 1"),
        ((images[..., 1:], labels), "images of 6x6, these are 6x5"),
        ((images.byte(), labels), "on float32 images, these are uint8"),
        ((images, labels + 1), "label 3; allowed: 0..2"),
        ("digits", "has other classes"),
    ):
        refused(message, nas.evaluate, trained, other, verbose=False)
    for other in (images[:, :1], images[0, 0], images.byte(), images.long(), Image.new("RGB", (6, 6))):
        refused("must be float32 (2, 6, 6), one or several", trained.model.preprocess, other)
    assert torch.equal(trained.model.preprocess(images[0])[0], trained.model.preprocess(images)[0])


def test_ctrl_c_leaves_a_checkpoint(data, tmp_path):
    calls = []

    def metric(logits, labels):
        calls.append(1)
        os.kill(os.getpid(), signal.SIGINT)
        return 0.0

    settings = {**SEARCH, "epochs": 3, "folder": tmp_path}
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    try:
        with pytest.raises(KeyboardInterrupt, match="stopped with a checkpoint"):
            nas.run_search("tiny", data, metric=metric, **settings)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, handler)
    assert len(calls) == 1
    assert nas.run_search("tiny", data, resume=True, **settings).finished


def test_silence(data, tmp_path, capsys):
    nas.run_search("tiny", data, folder=tmp_path / "a", **SEARCH)
    assert capsys.readouterr() == ("", "")
    nas.run_search("tiny", data, folder=tmp_path / "b", **SEARCH | {"verbose": True})
    out, err = capsys.readouterr()
    assert "searching tiny on tensors" in out
    assert "epoch 1/1 done" in err


def test_the_name_of_a_method(data, tmp_path, refused):
    refused("drats", nas.run_search, "tiny", data, method="drats", folder=tmp_path, **SEARCH)
