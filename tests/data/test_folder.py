import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.errors import InputError
from nas.data import DataSettings, load_dataset
from nas.data.pixels import allocate_images

Make = Callable[..., Path]
Settings = Callable[..., DataSettings]


def test_images_labels_and_classes(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder(("dog", "cat", "eel"))
    dataset = load_dataset(folder_settings(root))
    assert dataset.classes == ("cat", "dog", "eel")
    assert dataset.image_shape == (3, 7, 5)
    assert dataset.train.labels.tolist() == dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    expected = np.asarray(Image.open(root / "train" / "dog" / "1.png"))
    assert torch.equal(dataset.train.images[4], torch.tensor(expected).permute(2, 0, 1))
    values = dataset.train.images.double() / 255
    assert dataset.mean == pytest.approx(values.mean((0, 2, 3)).tolist())
    assert dataset.std == pytest.approx(values.std((0, 2, 3), correction=0).tolist())


def test_images_of_several_chunks_keep_their_order(
    make_folder: Make, folder_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(number=10)
    whole = load_dataset(folder_settings(root, cache="/dev/null/none"))
    monkeypatch.setattr("nas.data.decode._CHUNK", 3)
    assert torch.equal(load_dataset(folder_settings(root)).train.images, whole.train.images)


def test_hidden_and_other_files_are_ignored_and_nested_images_are_found(
    make_folder: Make, folder_settings: Settings
) -> None:
    root = make_folder()
    cats = root / "train" / "cat"
    (cats / ".hidden.png").write_text("not an image")
    (cats / "notes.txt").write_text("not an image")
    (root / "train" / ".git").mkdir()
    (cats / "more").mkdir()
    (cats / "0.png").rename(cats / "more" / "0.PNG")
    assert len(load_dataset(folder_settings(root)).train) == 6


def test_images_are_resized_to_squares(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder()
    dataset = load_dataset(folder_settings(root, size=4))
    assert dataset.image_shape == (3, 4, 4)
    image = Image.open(root / "test" / "cat" / "0.png").resize((4, 4), Image.Resampling.BILINEAR)
    assert torch.equal(dataset.test.images[0], torch.tensor(np.asarray(image)).permute(2, 0, 1))


@pytest.mark.parametrize("side", [1, 3])
def test_tiny_images(make_folder: Make, folder_settings: Settings, side: int) -> None:
    assert load_dataset(folder_settings(make_folder(size=(side, side)))).image_shape == (3, side, side)


def refusal(settings: DataSettings) -> str:
    with pytest.raises(InputError) as caught:
        load_dataset(settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_root_is_refused(folder_settings: Settings, tmp_path: Path) -> None:
    assert refusal(DataSettings("folder")).startswith("data=folder needs data.root=PATH")
    assert "No such file" in refusal(folder_settings(tmp_path / "nowhere"))


def test_a_missing_test_folder_is_refused(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder()
    (root / "test").rename(root / "dev")
    message = refusal(folder_settings(root))
    assert f"{root}: found dev/, train/ and no test images in test/" in message


def test_a_root_without_class_folders_is_refused(make_folder: Make, folder_settings: Settings, tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / "flat" / part).mkdir(parents=True)
    assert "no class folders" in refusal(folder_settings(tmp_path / "flat"))


def test_different_classes_in_train_and_test_are_refused(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder()
    (root / "test" / "dog").rename(root / "test" / "dogs")
    assert "(train only: dog; test only: dogs)" in refusal(folder_settings(root))


def test_an_empty_class_is_refused(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder()
    for file in (root / "test" / "dog").iterdir():
        file.unlink()
    assert refusal(folder_settings(root)).startswith(f"{root / 'test' / 'dog'}: no images; a class needs")


def test_images_of_several_sizes_need_data_size(make_folder: Make, folder_settings: Settings) -> None:
    root = make_folder()
    Image.new("RGB", (9, 9)).save(root / "test" / "cat" / "1.png")
    message = refusal(folder_settings(root))
    assert f"{root / 'test' / 'cat' / '1.png'} is 9x9" in message
    assert "data.size=N" in message
    assert load_dataset(folder_settings(root, size=9)).image_shape == (3, 9, 9)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"half"])
def test_a_damaged_image_is_named(make_folder: Make, folder_settings: Settings, content: bytes) -> None:
    root = make_folder(size=(40, 40))
    broken = root / "train" / "dog" / "2.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    assert refusal(folder_settings(root)).startswith(f"{broken}: cannot be read as an image (")
    broken.write_bytes(whole)
    assert len(load_dataset(folder_settings(root)).train) == 6


@pytest.mark.parametrize("allowed", [20, 30])  # Pillow raises above twice the limit and warns above the limit
def test_too_many_pixels_are_refused(
    make_folder: Make, folder_settings: Settings, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    root = make_folder(size=(5, 5))
    bomb = root / "train" / "dog" / "1.png"
    Image.new("RGB", (7, 6)).save(bomb)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", allowed)
    if allowed == 20:
        Image.new("RGB", (7, 6)).save(root / "train" / "cat" / "0.png")
        bomb = root / "train" / "cat" / "0.png"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in a user's program
        assert refusal(folder_settings(root, size=4)).startswith(f"{bomb}: too many pixels; allowed: at most {allowed}")


def test_more_images_than_memory_holds_are_refused() -> None:
    with pytest.raises(InputError, match=r"GB: set a smaller data\.size"):
        allocate_images(10**9, 4096, 4096)


@pytest.mark.parametrize(("key", "value"), [("size", 10**9), ("size", 4097), ("workers", 10**6)])
def test_absurdly_large_settings_are_refused(folder_settings: Settings, tmp_path: Path, key: str, value: int) -> None:
    with pytest.raises(InputError, match=rf"data\.{key}={value}: must be at most"):
        folder_settings(tmp_path, **{key: value})
