import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data import Dataset, DataSettings, file_sets, load_dataset

Make = Callable[..., Path]
Settings = Callable[..., DataSettings]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which every decoding appends its number of files."""
    counts: list[int] = []

    def counting(paths: list[Path], *rest: object) -> torch.Tensor:
        counts.append(len(paths))
        return decode(paths, *rest)

    decode = file_sets.decode_files
    monkeypatch.setattr(file_sets, "decode_files", counting)
    return counts


def same(one: Dataset, other: Dataset) -> bool:
    return torch.equal(one.train.images, other.train.images) and torch.equal(one.test.images, other.test.images)


def the_cache(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "cache").iterdir()  # one file and no temporary ones
    return file


def test_a_folder_is_decoded_once(
    make_folder: Make, folder_settings: Settings, decoded: list[int], tmp_path: Path
) -> None:
    settings = folder_settings(make_folder())
    first = load_dataset(settings)
    assert decoded == [6, 6]
    assert same(load_dataset(settings), first)
    assert decoded == [6, 6]
    with np.load(the_cache(tmp_path), allow_pickle=False) as archive:
        assert set(archive.files) == {"fingerprint", "train", "test"}


def repaint(root: Path) -> None:
    Image.new("RGB", (5, 7), "red").save(root / "test" / "dog" / "1.png")


def touch(root: Path) -> None:
    os.utime(root / "train" / "cat" / "0.png", ns=(1, 1))


def add(root: Path) -> None:
    Image.new("RGB", (5, 7)).save(root / "train" / "cat" / "9.png")


def remove(root: Path) -> None:
    (root / "train" / "cat" / "2.png").unlink()


def rename(root: Path) -> None:
    (root / "train" / "cat" / "2.png").rename(root / "train" / "dog" / "9.png")


def rename_class(root: Path) -> None:
    for part in ("train", "test"):
        (root / part / "cat").rename(root / part / "eel")


def repaint_secretly(root: Path) -> None:
    """Change the pixels in place, with the old number of bytes and the old time of modification."""
    file = root / "train" / "cat" / "0.bmp"
    before = file.stat()
    Image.new("RGB", (5, 7), "red").save(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


def replace_secretly(root: Path) -> None:
    """Exchange two files of the same number of bytes and the same time of modification."""
    one, other = (root / "train" / "cat" / f"{index}.bmp" for index in (0, 1))
    time = one.stat().st_mtime_ns
    os.utime(other, ns=(time, time))
    one.rename(root / "aside")
    other.rename(one)
    (root / "aside").rename(other)


@pytest.mark.parametrize("change", [repaint_secretly, replace_secretly])
def test_a_change_that_keeps_size_and_time_is_noticed(
    make_folder: Make, folder_settings: Settings, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    root = make_folder()
    for file in root.rglob("*.png"):
        Image.open(file).save(file.with_suffix(".bmp"))  # all have the same number of bytes
        file.unlink()
    before = load_dataset(folder_settings(root))
    change(root)
    after = load_dataset(folder_settings(root))
    assert not same(before, after)
    assert same(after, load_dataset(folder_settings(root, cache=str(tmp_path / "fresh"))))


@pytest.mark.parametrize("change", [repaint, touch, add, remove, rename, rename_class])
def test_a_changed_folder_is_decoded_again(
    make_folder: Make, folder_settings: Settings, decoded: list[int], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    root = make_folder()
    load_dataset(folder_settings(root))
    change(root)
    after = load_dataset(folder_settings(root))
    assert len(decoded) == 4
    assert same(after, load_dataset(folder_settings(root, cache=str(tmp_path / "fresh"))))
    the_cache(tmp_path)


def test_each_size_has_its_own_cache(make_folder: Make, folder_settings: Settings, decoded: list[int]) -> None:
    root = make_folder()
    for _ in range(2):
        assert load_dataset(folder_settings(root)).image_shape == (3, 7, 5)
        assert load_dataset(folder_settings(root, size=4)).image_shape == (3, 4, 4)
    assert len(decoded) == 4


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip_a_pixel(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [truncate, flip_a_pixel, lambda _: b"", lambda _: b"junk", lambda c: c[:-30]])
def test_a_damaged_cache_is_rebuilt(
    make_folder: Make,
    folder_settings: Settings,
    decoded: list[int],
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
) -> None:
    settings = folder_settings(make_folder(size=(30, 30)))
    first = load_dataset(settings)
    cache = the_cache(tmp_path)
    cache.write_bytes(damage(cache.read_bytes()))
    assert same(load_dataset(settings), first)
    assert len(decoded) == 4
    assert same(load_dataset(settings), first)
    assert len(decoded) == 4


def test_an_unwritable_cache_is_only_a_warning(
    make_folder: Make, folder_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    settings = folder_settings(make_folder(), cache=str(tmp_path / "file" / "cache"))
    assert len(load_dataset(settings).train) == 6
    (warning,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: "))
    assert f"data.cache={tmp_path / 'file' / 'cache'} cannot be written" in warning


def test_a_full_disk_keeps_the_old_cache(
    make_folder: Make, folder_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder()
    load_dataset(folder_settings(root))
    before = the_cache(tmp_path).read_bytes()
    repaint(root)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    load_dataset(folder_settings(root))
    assert the_cache(tmp_path).read_bytes() == before


def plant_bomb(path: Path) -> None:
    """Write a file of 100 kB that expands to 100 MB, with the right fingerprint."""
    with np.load(path) as archive:
        fingerprint = archive["fingerprint"]
    np.savez_compressed(path, fingerprint=fingerprint, train=np.zeros((10**6, 3, 7, 5), np.uint8), test=np.zeros(1))


def plant_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("replace", [plant_bomb, plant_pipe])
def test_an_untrusted_cache_is_rebuilt(
    make_folder: Make,
    folder_settings: Settings,
    decoded: list[int],
    tmp_path: Path,
    replace: Callable[[Path], None],
) -> None:
    settings = folder_settings(make_folder())
    first = load_dataset(settings)
    replace(the_cache(tmp_path))
    assert same(load_dataset(settings), first)
    assert len(decoded) == 4
