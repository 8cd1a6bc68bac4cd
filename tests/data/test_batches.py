from itertools import islice

import pytest
import torch

from nas.core.errors import InputError
from nas.data import AugmentSettings, Batches, ImageSet

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


def batches(images: ImageSet, batch_size: int = 8, **changes: object) -> Batches:
    defaults = {"mean": MEAN, "std": STD, "seed": 0, "stream": "train", "augment": AugmentSettings(2, True, 3)}
    return Batches(images, batch_size, **(defaults | changes))


def same(one: list, other: list) -> bool:
    return len(one) == len(other) and all(
        torch.equal(x1, x2) and torch.equal(y1, y2) for (x1, y1), (x2, y2) in zip(one, other, strict=True)
    )


def labels(steps: list) -> list[int]:
    return torch.cat([y for _, y in steps]).tolist()


def test_epochs_are_reproducible_bit_for_bit(image_set: ImageSet) -> None:
    assert same(list(batches(image_set).epoch(3)), list(batches(image_set).epoch(3)))


@pytest.mark.parametrize("change", [{"seed": 1}, {"stream": "alphas"}])
def test_seed_and_stream_change_the_epoch(image_set: ImageSet, change: dict) -> None:
    one, other = list(batches(image_set).epoch(0)), list(batches(image_set, **change).epoch(0))
    assert labels(one) != labels(other)


def test_epochs_differ_in_order_and_in_augmentation(image_set: ImageSet) -> None:
    assert labels(list(batches(image_set).epoch(0))) != labels(list(batches(image_set).epoch(1)))
    one = ImageSet(image_set.images[:1], image_set.labels[:1])
    seen = [next(batches(one).epoch(epoch))[0] for epoch in range(5)]
    assert any(not torch.equal(seen[0], x) for x in seen[1:])


@pytest.mark.parametrize("start", range(7))
def test_starting_at_a_step_yields_the_rest_of_the_epoch(image_set: ImageSet, start: int) -> None:
    assert same(list(batches(image_set).epoch(2, start)), list(batches(image_set).epoch(2))[start:])


def test_interleaved_epochs_are_independent(image_set: ImageSet) -> None:
    source = batches(image_set)
    expected = list(source.epoch(0)), list(source.epoch(1))
    pairs = list(zip(source.epoch(0), source.epoch(1), strict=True))
    assert same([a for a, _ in pairs], expected[0])
    assert same([b for _, b in pairs], expected[1])


def test_training_has_no_duplicates_and_drops_the_incomplete_batch(image_set: ImageSet) -> None:
    source = batches(image_set)
    steps = list(source.epoch(0))
    assert len(steps) == len(source) == 6
    assert all(x.shape == (8, 3, 8, 6) and x.dtype == torch.float32 and y.dtype == torch.int64 for x, y in steps)
    assert len(set(labels(steps))) == 48


def test_a_set_smaller_than_a_batch_yields_one_smaller_batch(image_set: ImageSet) -> None:
    source = batches(image_set, 64)
    steps = list(source.epoch(0))
    assert len(steps) == len(source) == 1
    assert sorted(labels(steps)) == list(range(50))


def test_evaluation_yields_every_image_in_order_and_normalized(image_set: ImageSet) -> None:
    source = batches(image_set, shuffle=False, augment=None)
    steps = list(source.epoch(0))
    assert len(steps) == len(source) == 7
    assert labels(steps) == list(range(50))
    expected = (image_set.images.double() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(torch.cat([x for x, _ in steps]).double(), expected, rtol=0, atol=1e-6)


def test_the_default_dtype_does_not_matter(image_set: ImageSet) -> None:
    expected = list(batches(image_set).epoch(0))
    torch.set_default_dtype(torch.float64)
    try:
        assert same(list(batches(image_set).epoch(0)), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_global_generator_is_not_used(image_set: ImageSet) -> None:
    before = torch.get_rng_state()
    list(batches(image_set).epoch(0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_invalid_batch_sizes_are_refused(image_set: ImageSet, size: object) -> None:
    with pytest.raises(InputError, match=r"batch_size=.*must be a whole number"):
        batches(image_set, size)


def test_an_empty_set_is_refused(image_set: ImageSet) -> None:
    with pytest.raises(InputError, match="'alphas': the set has no images"):
        batches(image_set.subset(torch.tensor([], dtype=torch.int64)), stream="alphas")


def test_epochs_and_steps_out_of_range_are_refused(image_set: ImageSet) -> None:
    with pytest.raises(InputError, match="epoch=-1"):
        batches(image_set).epoch(-1)
    with pytest.raises(InputError, match=r"start_step=7: must lie in 0\.\.6, the steps of 'train'"):
        batches(image_set).epoch(0, 7)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_has_the_order_of_the_cpu_and_does_not_synchronize(image_set: ImageSet) -> None:
    cpu, cuda = batches(image_set), batches(image_set.to("cuda"))
    assert labels(list(cuda.epoch(0))) == labels(list(cpu.epoch(0)))
    assert same(list(cuda.epoch(1, 2)), list(cuda.epoch(1))[2:])
    steps = cuda.epoch(0)
    next(steps)  # moves the epoch's order
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert len(list(islice(steps, 3))) == 3
    finally:
        torch.cuda.set_sync_debug_mode("default")
