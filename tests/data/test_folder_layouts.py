"""Folders as they are: names of the test folder, flat folders of classes, a set for the alphas."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nas.core.errors import InputError
from nas.data import DataSettings, dataset_fingerprint, load_dataset
from nas.data.halves import search_halves

Make = Callable[..., Path]
Settings = Callable[..., DataSettings]


def refusal(settings: DataSettings) -> str:
    with pytest.raises(InputError) as caught:
        load_dataset(settings)
    return str(caught.value)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_the_test_folder_may_have_other_names(make_folder: Make, folder_settings: Settings, name: str) -> None:
    root = make_folder()
    expected = load_dataset(folder_settings(root))
    (root / "test").rename(root / name)
    found = load_dataset(folder_settings(root))
    assert torch.equal(found.test.images, expected.test.images)
    assert found.valid is None


def test_an_unused_folder_is_named(
    make_folder: Make, folder_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_folder()
    shutil.copytree(root / "test", root / "val")
    load_dataset(folder_settings(root))
    line = f"warning: data.root={root}: val/ is not used; data.valid=val gives it to a search's alphas"
    assert line in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("inside", [True, False])
def test_a_separate_set_for_the_alphas(
    make_folder: Make, folder_settings: Settings, tmp_path: Path, inside: bool
) -> None:
    root = make_folder()
    place = root / "val" if inside else tmp_path / "elsewhere"
    shutil.move(root / "test", place)
    shutil.copytree(root / "train", root / "test")
    dataset = load_dataset(folder_settings(root, valid="val" if inside else str(place)))
    weights, alphas = search_halves(dataset, 0, 0.5)
    assert weights is dataset.train
    assert alphas is dataset.valid
    assert not torch.equal(alphas.images, dataset.train.images)
    assert torch.equal(dataset.test.images, dataset.train.images)
    assert "data.valid.images" in dataset_fingerprint(dataset)


def test_a_set_for_the_alphas_has_the_labels_of_the_training(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder(("ant", "cat", "dog"))
    shutil.copytree(root / "test", root / "val")
    shutil.rmtree(root / "val" / "ant")
    assert load_dataset(folder_settings(root, valid="val")).valid.labels.tolist() == [1, 1, 1, 2, 2, 2]
    (root / "val" / "cat").rename(root / "val" / "eel")
    assert "has class folders that" in refusal(folder_settings(root, valid="val"))
    assert "no such folder" in refusal(folder_settings(root, valid="vall"))


def flat(root: Path) -> Path:
    shutil.rmtree(root / "test")
    for folder in (root / "train").iterdir():
        folder.rename(root / folder.name)
    (root / "train").rmdir()
    return root


def test_a_flat_folder_is_split_by_class_and_always_alike(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder(number=10)
    whole = load_dataset(folder_settings(root)).train
    settings = folder_settings(flat(root), test_fraction=0.2)
    one, other = load_dataset(settings), load_dataset(settings)
    assert one.train.labels.bincount().tolist() == [8, 8]
    assert one.test.labels.bincount().tolist() == [2, 2]
    assert torch.equal(one.test.images, other.test.images)
    images = {image.numpy().tobytes() for part in (one.train, one.test) for image in part.images}
    assert images == {image.numpy().tobytes() for image in whole.images}


def test_train_alone_is_split_likewise(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder(number=10)
    shutil.rmtree(root / "test")
    dataset = load_dataset(folder_settings(root, test_fraction=0.3))
    assert (len(dataset.train), len(dataset.test)) == (14, 6)


def test_classes_without_test_images_are_named(
    make_folder: Make, folder_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    root = flat(make_folder(("a", "b", "c", "d"), number=1))
    load_dataset(folder_settings(root, test_fraction=0.5))
    assert "the test set has no image of 2 of 4 classes" in capsys.readouterr().err


def test_what_was_found_is_said(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder()
    assert "has train/ and test/ already" in refusal(folder_settings(root, test_fraction=0.2))
    (root / "test").rename(root / "Test")
    text = refusal(folder_settings(root))
    assert f"{root}: found Test/, train/ and no test images in test/, val/, valid/, validation/" in text
    assert "data.test_fraction=0.2" in text
    shutil.rmtree(root / "Test")
    for folder in (root / "train").iterdir():
        folder.rename(root / folder.name)
    (root / "train").rmdir()
    assert f"{root}: found cat/, dog/; data.root needs train/ and test/" in refusal(folder_settings(root))


def test_a_test_folder_does_not_become_a_class(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder()
    (root / "train").rename(root / "training")
    text = refusal(folder_settings(root, test_fraction=0.2))
    assert f"{root}: found test/, training/; test/ would be a class" in text


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0])
def test_a_bad_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match=r"data\.test_fraction=.*: must lie between 0 and 1"):
        DataSettings("folder", root="x", test_fraction=fraction)
