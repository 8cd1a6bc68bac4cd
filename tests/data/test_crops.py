"""Random and center crops of an image whose red channel encodes the column and green channel the row."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Resize

from nas.data.crops import center_crop, random_crop

SIDE = 256


@pytest.fixture(scope="module")
def ruler() -> Image.Image:
    column, row = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    return Image.fromarray(np.stack([column, row, np.full_like(row, 128)], axis=2).astype(np.uint8))


def boxes(ruler: Image.Image, number: int, size: int = 64) -> np.ndarray:
    """Return left, top, right and bottom of random crops, (number, 4), accurate to about a pixel.

    They are extrapolated from the middle half of each crop, which the border does not affect.
    """
    spans = []
    for seed in range(number):
        crop = np.asarray(random_crop(ruler, size, 0.0, seed)).astype(float)
        assert crop.shape == (size, size, 3)
        quarter, end = size // 4, 3 * size // 4
        middle = size / 2 - 0.5
        for channel, line in ((0, crop[size // 2, :, 0]), (1, crop[:, size // 2, 1])):
            slope = (line[end] - line[quarter]) / (end - quarter)  # source pixels per crop pixel
            center = line[quarter] + (middle - quarter) * slope
            spans += [(channel, center - slope * size / 2 + 0.5, center + slope * size / 2 + 0.5)]
    corners = np.array(spans)[:, 1:].reshape(number, 2, 2)  # image, axis, (begin, end)
    return corners.transpose(0, 2, 1).reshape(number, 4)


def test_random_crops_have_the_documented_areas_and_aspect_ratios(ruler: Image.Image) -> None:
    left, top, right, bottom = boxes(ruler, 600).T
    assert min(left.min(), top.min()) > -3
    assert max(right.max(), bottom.max()) < SIDE + 3
    width, height = right - left, bottom - top
    area, ratio = width * height / SIDE**2, width / height
    assert 0.075 < area.min() < 0.1
    assert 0.9 < area.max() < 1.03
    assert 0.73 < ratio.min() < 0.77
    assert 1.29 < ratio.max() < 1.37
    # uniform in area, except large crops that do not fit at their aspect ratio; uniform in log ratio
    below = [(area < 0.08 + 0.92 * share).mean() for share in (0.25, 0.5)]
    assert below == pytest.approx([0.27, 0.54], abs=0.06)
    assert np.log(ratio).mean() == pytest.approx(0, abs=0.03)
    assert np.log(ratio).std() == pytest.approx(2 * math.log(4 / 3) / math.sqrt(12), abs=0.03)
    assert np.mean((left + right) / 2) == pytest.approx(SIDE / 2, abs=6)  # not biased to one side


def test_a_crop_depends_on_its_seed_only(ruler: Image.Image) -> None:
    before = torch.get_rng_state()
    one, again, other = (np.asarray(random_crop(ruler, 32, 0.4, seed)) for seed in (5, 5, 6))
    assert torch.equal(before, torch.get_rng_state())
    assert (one == again).all()
    assert (one != other).any()


def test_jitter_changes_the_colors_but_not_the_crop(ruler: Image.Image) -> None:
    plain, jittered = (np.asarray(random_crop(ruler, 32, jitter, 7)).astype(int) for jitter in (0.0, 0.4))
    assert (plain != jittered).any()
    assert (plain[..., 2] == 128).all()
    gray = Image.fromarray(np.tile(np.arange(0, 250, dtype=np.uint8)[None, :, None], (250, 1, 3)))
    plain, jittered = (np.asarray(random_crop(gray, 32, jitter, 7))[16, :, 0].astype(int) for jitter in (0.0, 0.4))
    assert np.corrcoef(plain, jittered)[0, 1] > 0.99


@pytest.mark.parametrize("size", [1, 7, 32, 224])
@pytest.mark.parametrize("form", [(60, 90), (91, 50), (33, 33), (1, 1), (3, 40)], ids=str)
def test_the_center_crop_matches_torchvision(size: int, form: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*form, 3), np.uint8)
    picture = Image.fromarray(pixels)
    expected = CenterCrop(size)(Resize(round(size * 256 / 224))(picture))
    assert (np.asarray(center_crop(picture, size)) == np.asarray(expected)).all()


@pytest.mark.parametrize("crop", [center_crop, lambda picture, size: random_crop(picture, size, 0.4, 0)])
@pytest.mark.parametrize("form", [(1, 1), (1, 30), (30, 1)], ids=str)
def test_tiny_images_can_be_cropped(crop: Callable[[Image.Image, int], Image.Image], form: tuple[int, int]) -> None:
    assert crop(Image.new("RGB", form), 16).size == (16, 16)
