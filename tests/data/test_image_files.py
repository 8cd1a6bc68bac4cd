"""Which files of a folder are images, and what is said of the others."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from nas.core.errors import InputError
from nas.data import DataSettings, load_dataset

Make = Callable[..., Path]
Settings = Callable[..., DataSettings]


def warnings_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]


def test_files_without_a_suffix_are_read_by_content_and_others_counted(
    make_folder: Make, folder_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_folder(number=8)
    for file in sorted(root.rglob("*.png")):
        if file.stem != "0":
            file.rename(file.with_suffix("" if int(file.stem) % 2 else ".png_large"))
    (root / "train" / "cat" / "README").write_text("no image")
    dataset = load_dataset(folder_settings(root))
    assert (len(dataset.train), len(dataset.test)) == (10, 10)
    assert warnings_of(capsys) == [
        f"warning: data.root={root}: 13 files are not read as images (12 .png_large, 1 without a suffix)"
    ]


def test_a_folder_of_images_alone_has_no_warning(
    make_folder: Make, folder_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    load_dataset(folder_settings(make_folder()))
    assert warnings_of(capsys) == []


def test_loose_images_broken_links_and_pipes_are_counted(
    make_folder: Make, folder_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_folder()
    Image.new("RGB", (5, 7)).save(root / "train" / "loose.png")
    (root / "train" / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    os.mkfifo(root / "test" / "cat" / "pipe.png")
    assert len(load_dataset(folder_settings(root)).train) == 6
    (line,) = warnings_of(capsys)
    for count in ("3 files", "1 outside of the class folders", "1 broken links", "1 special files"):
        assert count in line


def test_linked_folders_and_files_are_followed(make_folder: Make, folder_settings: Settings, tmp_path: Path) -> None:
    root = make_folder()
    cats = root / "train" / "cat"
    for name in ("cat", "more"):
        (root / "train" / "cat" if name == "cat" else tmp_path / name).mkdir(exist_ok=True)
    for index in range(2):
        Image.new("RGB", (5, 7), (index, 0, 0)).save(tmp_path / "more" / f"{index}.png")
    (cats / "linked").symlink_to(tmp_path / "more")
    (cats / "one.png").symlink_to(tmp_path / "more" / "1.png")
    assert load_dataset(folder_settings(root)).train.labels.tolist() == [0] * 6 + [1] * 3


@pytest.mark.parametrize("target", ["train", "train/cat", "."])
def test_a_cycle_of_links_is_refused(make_folder: Make, folder_settings: Settings, target: str) -> None:
    root = make_folder()
    (root / "train" / "cat" / "again").symlink_to(root / target)
    with pytest.raises(InputError, match="again: links to a folder that contains it"):
        load_dataset(folder_settings(root))


@pytest.mark.parametrize("stream", [False, True])
def test_one_class_folder_is_refused(make_folder: Make, folder_settings: Settings, stream: bool) -> None:
    root = make_folder(classes=("images/cat", "images/dog"))
    with pytest.raises(InputError, match=f"{root / 'train'}: one class only, 'images'"):
        load_dataset(folder_settings(root, size=4, stream=stream))
