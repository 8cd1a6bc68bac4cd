"""Small image sets and image folders."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data import DataSettings, ImageSet

MakeFolder = Callable[..., Path]


@pytest.fixture
def image_set() -> ImageSet:
    """Return 50 random images of 8 x 6; image i has label i, so that labels identify images."""
    images = torch.randint(256, (50, 3, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(images, torch.arange(50))


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Return a function that writes ``root/train|test/<class>/<i>.png`` of random images and returns the root."""

    def make(classes: tuple[str, ...] = ("cat", "dog"), number: int = 3, size: tuple[int, int] = (7, 5)) -> Path:
        random = np.random.default_rng(0)
        for part in ("train", "test"):
            for name in classes:
                folder = tmp_path / "images" / part / name
                folder.mkdir(parents=True)
                for index in range(number):
                    Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(folder / f"{index}.png")
        return tmp_path / "images"

    return make


@pytest.fixture
def folder_settings(tmp_path: Path) -> Callable[..., DataSettings]:
    """Return a function that makes settings for a folder, with the cache in the test's own directory."""

    def settings(root: Path, **changes: object) -> DataSettings:
        return DataSettings(
            **({"name": "folder", "root": str(root), "cache": str(tmp_path / "cache"), "pad": 0} | changes)
        )

    return settings


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
