"""The values in image files: 12, 16 and 32 bits, signs, floats, transparency, and the setting data.range."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.errors import InputError
from nas.data import DataSettings, load_dataset
from nas.data.decode import decode_rgb

Make = Callable[..., Path]
Settings = Callable[..., DataSettings]


def saved(values: np.ndarray, path: Path, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def refusal(path: Path, levels: tuple[float, float] | None = None) -> str:
    with pytest.raises(InputError, match=f"{path}: cannot be read as an image") as caught:
        decode_rgb(path, None, levels)
    return str(caught.value)


@pytest.mark.parametrize("values", [[100_000, 2_000_000], [-1, 5], [0, 65536]])
def test_values_outside_of_sixteen_bits_are_refused(tmp_path: Path, values: list[int]) -> None:
    text = refusal(saved(np.array([values], np.int32), tmp_path / "a.tif"))
    assert f"values {values[0]}..{values[1]} outside of 0..65535" in text
    assert "save it with 8 or 16 bits" in text


def test_thirty_two_bits_with_small_values_are_read(tmp_path: Path) -> None:
    path = saved(np.array([[0, 257, 65535]], np.int32), tmp_path / "a.tif")
    assert decode_rgb(path)[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_a_range_maps_low_to_black_and_high_to_white(tmp_path: Path, dtype: type) -> None:
    path = saved(np.array([[-100, 0, 100, 300, 500]], dtype), tmp_path / "a.tif")
    assert decode_rgb(path, None, (-100, 300))[0, :, 0].tolist() == [0, 64, 128, 255, 255]  # 63.75, 127.5 to even


def test_a_range_of_bytes(tmp_path: Path) -> None:
    gray = saved(np.array([[0, 10, 20]], np.uint8), tmp_path / "a.png")
    assert decode_rgb(gray, None, (0, 20))[0, :, 0].tolist() == [0, 128, 255]
    color = saved(np.array([[[0, 10, 20]]], np.uint8), tmp_path / "b.png")
    assert decode_rgb(color, None, (0, 20))[0, 0].tolist() == [0, 128, 255]


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = saved(np.array([[0, np.nan]], np.float32), tmp_path / "a.tif")
    assert "holds NaN or infinity" in refusal(path, (0, 1))


def test_signed_bytes_are_refused(tmp_path: Path) -> None:
    path = saved(np.array([[1, 255]], np.uint8), tmp_path / "a.tif", tiffinfo={339: 2})
    assert "signed bytes" in refusal(path)


def test_the_transparent_value_of_sixteen_bits_is_white(tmp_path: Path) -> None:
    path = saved(np.array([[0, 257, 514]], np.uint16), tmp_path / "a.png", transparency=257)
    with Image.open(path) as image:
        assert image.info["transparency"] == 257
    assert decode_rgb(path)[0, :, 0].tolist() == [0, 255, 2]


def paint(root: Path, low: int, high: int, dtype: type = np.uint16) -> None:
    random = np.random.default_rng(0)
    for file in root.rglob("*.png"):
        saved(random.integers(low, high, (8, 8)).astype(dtype), file)


@pytest.mark.parametrize("stream", [False, True])
def test_twelve_bits_in_sixteen_are_noticed(
    make_folder: Make, folder_settings: Settings, capsys: pytest.CaptureFixture[str], stream: bool
) -> None:
    root = make_folder()
    paint(root, 1750, 1860)
    settings = folder_settings(root, size=8, stream=stream)
    for _ in range(2):  # also if the images are in the cache
        load_dataset(settings)
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: "))
        assert f"data.root={root}: the values of 6 images are 175" in line
        assert "of 16 bits: 2 of 256 levels remain; data.range=[LOW,HIGH] spreads them" in line


def test_a_range_keeps_twelve_bits_apart(
    make_folder: Make, folder_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_folder()
    paint(root, 1750, 1860)
    dataset = load_dataset(folder_settings(root, range=(1750.0, 1859.0)))
    assert len(dataset.train.images.unique()) > 80
    assert "warning" not in capsys.readouterr().err
    streamed = load_dataset(folder_settings(root, size=8, stream=True, workers=0, range=(1750.0, 1859.0)))
    ((images, _),) = streamed.test.read(torch.arange(6), 6, None)
    assert len(images.unique()) > 80


@pytest.mark.parametrize(("low", "high", "dtype"), [(0, 65535, np.uint16), (20, 90, np.uint8)])
def test_ordinary_values_have_no_warning(
    make_folder: Make, folder_settings: Settings, capsys: pytest.CaptureFixture[str], low: int, high: int, dtype: type
) -> None:
    root = make_folder()
    paint(root, low, high, dtype)
    load_dataset(folder_settings(root))
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("levels", [(1.0,), (2.0, 1.0), (0.0, float("inf")), (1.0, 1.0)])
def test_a_bad_range_is_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"data\.range=.*: must be \[LOW,HIGH\]"):
        DataSettings("folder", root="x", range=levels)


def test_a_range_for_bytes_without_files_is_refused() -> None:
    with pytest.raises(InputError, match=r"data\.range=.*: not for data=digits"):
        DataSettings("digits", range=(0.0, 1.0))
