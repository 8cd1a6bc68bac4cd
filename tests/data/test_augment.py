import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as tv

from nas.core.errors import InputError
from nas.data.augment import AugmentSettings, Draws, augment, crop, draw_augmentation

MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
MEAN_311, STD_311 = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)


def random_images(batch: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (batch, 3, height, width), dtype=torch.uint8, generator=generator)


def drawn(batch: int, height: int, width: int, settings: AugmentSettings, seed: int = 0) -> Draws:
    return draw_augmentation(batch, height, width, settings, torch.Generator().manual_seed(seed))


def augment_one_by_one(images: torch.Tensor, draws: Draws, settings: AugmentSettings) -> torch.Tensor:
    """Augment with torchvision image by image and cut out pixel by pixel: the slow, obvious reference."""
    height, width = images.shape[-2:]
    results = []
    for i, image in enumerate(images):
        pil = tv.pad(Image.fromarray(image.permute(1, 2, 0).numpy()), [settings.pad] * 4)
        pil = tv.crop(pil, int(draws.top[i]), int(draws.left[i]), height, width)
        if draws.flipped[i]:
            pil = tv.hflip(pil)
        values = tv.normalize(tv.to_tensor(pil), MEAN, STD)
        first_y = int(draws.center_y[i]) - settings.cutout // 2
        first_x = int(draws.center_x[i]) - settings.cutout // 2
        for y in range(first_y, first_y + settings.cutout):
            for x in range(first_x, first_x + settings.cutout):
                if 0 <= y < height and 0 <= x < width:
                    values[:, y, x] = 0
        results.append(values)
    return torch.stack(results)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (5, 3), (8, 8), (32, 32)])
@pytest.mark.parametrize("pad", [0, 1, 4])
@pytest.mark.parametrize("cutout", [0, 1, 2, 5])
def test_augment_matches_torchvision_image_by_image(height: int, width: int, pad: int, cutout: int) -> None:
    settings = AugmentSettings(pad, True, cutout)
    images = random_images(12, height, width)
    draws = drawn(12, height, width, settings)
    untouched = images.clone()
    result = augment(images, draws, settings, MEAN_311, STD_311)
    assert torch.equal(result, augment_one_by_one(images, draws, settings))
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    assert torch.equal(images, untouched)


def test_crop_without_padding_or_flip_returns_the_images() -> None:
    settings = AugmentSettings(0, False, 0)
    images = random_images(4, 5, 6)
    draws = drawn(4, 5, 6, settings)
    assert torch.equal(crop(images, draws, 0), images)


def test_padding_is_black_and_cutout_is_the_mean() -> None:
    draws = Draws(*(torch.tensor([value]) for value in (0, 0, False, 3, 3)))
    white = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    result = augment(white, draws, AugmentSettings(1, True, 2), MEAN_311, STD_311)
    assert torch.equal(result[0, :, 0], (-MEAN_311 / STD_311)[:, 0].expand(3, 4))
    assert torch.equal(result[0, :, 2:, 2:], torch.zeros(3, 2, 2))


def test_parameters_are_uniform_and_independent() -> None:
    settings = AugmentSettings(4, True, 16)
    draws = drawn(9000, 10, 7, settings)
    for values, count in ((draws.top, 9), (draws.left, 9), (draws.center_y, 10), (draws.center_x, 7)):
        counts = values.bincount(minlength=count)
        assert len(counts) == count
        expected = 9000 / count
        assert ((counts - expected) ** 2 / expected).sum() < 30  # chi-squared, at most 9 degrees of freedom
    assert abs(draws.flipped.float().mean() - 0.5) < 0.02
    together = torch.stack([draws.top, draws.left, draws.flipped, draws.center_y, draws.center_x]).double()
    assert (torch.corrcoef(together) - torch.eye(5)).abs().max() < 0.05


def test_settings_do_not_change_the_other_parameters() -> None:
    plain, full = drawn(100, 8, 8, AugmentSettings(2, False, 0)), drawn(100, 8, 8, AugmentSettings(2, True, 4))
    assert not plain.flipped.any()
    assert full.flipped.any()
    for name in ("top", "left", "center_y", "center_x"):
        assert torch.equal(getattr(plain, name), getattr(full, name))


def test_the_global_generator_is_not_used() -> None:
    before = torch.get_rng_state()
    drawn(10, 8, 8, AugmentSettings())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("key", "value"), [("pad", -1), ("pad", 1.5), ("pad", True), ("cutout", -2), ("flip", 1)])
def test_invalid_settings_name_the_key(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^data\.{key}={value}: "):
        AugmentSettings(**{key: value})


def test_settings_are_checked_against_the_image_size() -> None:
    AugmentSettings(7, True, 8).check_fits(8, 9)
    with pytest.raises(InputError, match=r"data\.pad=8: .*8x9"):
        AugmentSettings(8).check_fits(8, 9)
    with pytest.raises(InputError, match=r"data\.cutout=9: .*8x9"):
        AugmentSettings(0, True, 9).check_fits(8, 9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_matches_the_cpu() -> None:
    settings = AugmentSettings(4, True, 16)
    images = random_images(64, 32, 32)
    draws = drawn(64, 32, 32, settings)
    cuda_draws = Draws(*(getattr(draws, name).cuda() for name in draws.__dataclass_fields__))
    assert torch.equal(crop(images.cuda(), cuda_draws, 4).cpu(), crop(images, draws, 4))
    result = augment(images.cuda(), cuda_draws, settings, MEAN_311.cuda(), STD_311.cuda())
    torch.testing.assert_close(result.cpu(), augment(images, draws, settings, MEAN_311, STD_311))


@pytest.mark.parametrize("channels", [1, 4])
def test_each_channel_is_augmented_alike(channels: int) -> None:
    settings = AugmentSettings(2, True, 3)
    gray = random_images(6, 5, 4)[:, :1]
    draws = drawn(6, 5, 4, settings)
    mean, std = torch.full((channels, 1, 1), 0.4), torch.full((channels, 1, 1), 0.3)
    result = augment(gray.repeat(1, channels, 1, 1), draws, settings, mean, std)
    assert torch.equal(result, augment(gray, draws, settings, mean[:1], std[:1]).repeat(1, channels, 1, 1))


def test_float_images_are_padded_with_the_mean() -> None:
    """Shifting and scaling all images changes nothing if mean and std follow: no value has a meaning of its own."""
    settings = AugmentSettings(2, True, 0)
    images, draws = torch.rand(6, 2, 5, 4), drawn(6, 5, 4, settings)
    mean, std = torch.tensor([0.5, 0.4]).view(2, 1, 1), torch.tensor([0.3, 0.2]).view(2, 1, 1)
    plain = augment(images, draws, settings, mean, std)
    torch.testing.assert_close(
        augment(8 * images - 64, draws, settings, 8 * mean - 64, 8 * std), plain, rtol=0, atol=1e-4
    )
    assert (plain == 0).any()  # some padding is visible


def test_bytes_and_the_same_floats_in_units_of_0_to_1_agree_without_padding() -> None:
    settings = AugmentSettings(0, True, 2)
    images, draws = random_images(6, 5, 4), drawn(6, 5, 4, settings)
    floats = augment(images / 255, draws, settings, MEAN_311, STD_311)
    torch.testing.assert_close(floats, augment(images, draws, settings, MEAN_311, STD_311))
