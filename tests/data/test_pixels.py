import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nas.core.errors import InputError
from nas.data import pixels
from nas.data.pixels import channel_statistics, resize


def random_images(number: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (number, 3, height, width), dtype=torch.uint8, generator=generator)


def test_statistics_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_images(10, 5, 4) // torch.tensor([1, 2, 3], dtype=torch.uint8).view(3, 1, 1)
    monkeypatch.setattr(pixels, "_STATISTICS_CHUNK", 3)
    mean, std = channel_statistics(images)
    values = images.numpy().astype(np.longdouble) / 255
    np.testing.assert_allclose(mean, values.mean((0, 2, 3)).astype(float), rtol=1e-15)
    np.testing.assert_allclose(std, values.std((0, 2, 3)).astype(float), rtol=1e-15)


def test_a_constant_channel_can_be_normalized() -> None:
    mean, std = channel_statistics(torch.full((2, 3, 4, 4), 51, dtype=torch.uint8))
    assert mean == (0.2, 0.2, 0.2)
    assert std == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("size", [1, 4, 7, 19])
def test_resizing_matches_torch_within_one_gray_level(size: int) -> None:
    images = random_images(5, 9, 8)
    expected = F.interpolate(images.double(), (size, size), mode="bilinear", antialias=True)
    ours = resize(images, size)
    assert ours.dtype == torch.uint8
    assert (ours - expected).abs().max() <= 1


def test_images_of_the_right_size_are_returned_as_they_are() -> None:
    images = random_images(2, 4, 4)
    assert resize(images, 4) is images
    assert resize(images, None) is images


def test_a_size_beyond_the_memory_is_refused() -> None:
    with pytest.raises(InputError, match=r"GB: set a smaller data\.size"):
        resize(torch.zeros(5, 3, 8, 8, dtype=torch.uint8), 10**9)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_statistics_of_any_number_of_channels(channels: int) -> None:
    images = torch.randint(256, (4, channels, 3, 5), dtype=torch.uint8)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, (images.numpy() / 255).mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, (images.numpy() / 255).std((0, 2, 3)), rtol=1e-12)


def test_statistics_of_float_images_are_in_their_own_units(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randn(10, 2, 3, 4) * torch.tensor([1e-3, 40.0]).view(2, 1, 1) + torch.tensor([1e3, -7.0]).view(
        2, 1, 1
    )
    monkeypatch.setattr(pixels, "_STATISTICS_CHUNK", 3)
    mean, std = channel_statistics(images)
    values = images.numpy().astype(np.longdouble)
    np.testing.assert_allclose(mean, values.mean((0, 2, 3)).astype(float), rtol=1e-14)
    np.testing.assert_allclose(std, values.std((0, 2, 3)).astype(float), rtol=1e-12)


def test_a_constant_float_channel_can_be_normalized() -> None:
    mean, std = channel_statistics(torch.full((7, 1, 3, 3), 0.1))  # 0.1 is not exact in binary
    assert mean == (torch.tensor(0.1).item(),)
    assert std == (1.0,)
