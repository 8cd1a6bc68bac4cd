"""Dataset registry, data settings, and the YAML files in conf/data."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from nas.core.errors import InputError
from nas.core.paths import shipped_folder
from nas.data import DATASETS, DataSettings, ImageSet, load_dataset, register_dataset
from nas.data.dataset import Dataset

FILES = sorted((shipped_folder("conf") / "data").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_yaml_file_holds_all_settings(file: Path) -> None:
    keys = yaml.safe_load(file.read_text())
    assert list(keys) == [field.name for field in fields(DataSettings)]
    assert DataSettings(**keys).name == file.stem
    assert file.stem in DATASETS


def test_every_dataset_has_a_yaml_file() -> None:
    assert {file.stem for file in FILES} >= {"cifar10", "cifar100", "digits", "folder"}


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown dataset 'cifr10': did you mean cifar10"):
        load_dataset(DataSettings("cifr10"))


def test_registering_a_dataset(image_set: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))

    @register_dataset("my_dataset")
    def load_my_dataset(settings: DataSettings) -> Dataset:
        classes = tuple(str(i) for i in range(50))
        return Dataset(settings.name, image_set, image_set, classes, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    assert len(load_dataset(DataSettings("my_dataset")).train) == 50
    with pytest.raises(InputError, match="registered already"):
        register_dataset("my_dataset")(load_my_dataset)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("size", value) for value in (0, -1, "32", 1.5, True)),
        *(("limit", value) for value in (0, -1, "all", 1.5, True)),
        *(("pad", value) for value in (-1, None, "4")),
        *(("cutout", value) for value in (-1, None)),
        *(("flip", value) for value in (None, 1, "yes")),
        *(("name", value) for value in (None, "", 3)),
        *(("cache", value) for value in (None, "", 3)),
        *(("root", value) for value in ("", 3)),
    ],
)
def test_invalid_values_name_the_key_and_the_value(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^data\.{key}={value!r}: "):
        DataSettings(**({"name": "digits"} | {key: value}))


def test_limit_is_stratified_and_nested() -> None:
    whole, larger, small = (load_dataset(DataSettings("digits", limit=limit)) for limit in (None, 400, 100))
    assert len(small.train) == 100
    assert small.train.labels.bincount().tolist() == [10] * 10
    assert len(small.test) == 360
    assert small.mean == whole.mean
    again = load_dataset(DataSettings("digits", limit=100))
    assert torch.equal(again.train.images, small.train.images)
    rows = {image.numpy().tobytes() for image in larger.train.images}
    assert all(image.numpy().tobytes() in rows for image in small.train.images)


def test_a_limit_equal_to_the_training_set_changes_nothing() -> None:
    whole, limited = (load_dataset(DataSettings("digits", limit=limit)) for limit in (None, 1437))
    assert torch.equal(whole.train.images, limited.train.images)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pad": 8}, r"data\.pad=8: .*8x8"),
        ({"cutout": 9}, r"data\.cutout=9: .*8x8"),
    ],
)
def test_settings_are_checked_against_the_image_size(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(DataSettings(**({"name": "digits"} | changes)))


def test_a_limit_above_the_training_set_keeps_all_of_it() -> None:
    assert len(load_dataset(DataSettings("digits", pad=1, limit=5000)).train) == 1437


def test_held_out_images_are_no_training_images() -> None:
    whole, held = load_dataset("digits"), load_dataset("digits", holdout=0.25)
    assert held.test is not None
    assert (len(held.train), len(held.test), held.mean) == (1437 - 359, 359, whole.mean)
    both = torch.cat([held.train.images, held.test.images]).flatten(1)
    assert torch.equal(both.unique(dim=0), whole.train.images.flatten(1).unique(dim=0))
    shares = held.test.labels.bincount() / whole.train.labels.bincount()
    assert ((shares - 0.25).abs() < 0.02).all()
    fewer = load_dataset("digits", holdout=0.25, limit=100)
    assert torch.equal(fewer.test.images, held.test.images)
    assert len(fewer.train) == 100
    assert len(load_dataset("digits", holdout=0.25, limit=1437).train) == 1437 - 359


@pytest.mark.parametrize("holdout", [0, 1, 1e-9, True, "a", float("nan")])
def test_a_holdout_that_cannot_be(holdout: Any) -> None:
    with pytest.raises(InputError, match=r"data\.holdout="):
        load_dataset("digits", holdout=holdout)
