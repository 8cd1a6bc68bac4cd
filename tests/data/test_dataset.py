import pytest
import torch

from nas.core.errors import InputError
from nas.data import Dataset, ImageSet

NUMBERS = (0.5, 0.5, 0.5)


def test_subset_keeps_the_order_of_the_indices(image_set: ImageSet) -> None:
    part = image_set.subset(torch.tensor([7, 3]))
    assert len(part) == 2
    assert part.labels.tolist() == [7, 3]
    assert torch.equal(part.images[1], image_set.images[3])


def test_to_moves_images_and_labels(image_set: ImageSet) -> None:
    moved = image_set.to("meta")
    assert moved.device.type == moved.labels.device.type == "meta"
    assert len(moved) == 50


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 4, 4, dtype=torch.float64),
        torch.zeros(2, 0, 4, 4, dtype=torch.uint8),
        torch.zeros(3, 4, 4, dtype=torch.uint8),
    ],
)
def test_images_of_another_shape_or_dtype_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"images: .*; must be uint8 or float32 \(N, C, H, W\)"):
        ImageSet(images, torch.zeros(len(images), dtype=torch.int64))


@pytest.mark.parametrize(
    "labels", [torch.zeros(2), torch.zeros(3, dtype=torch.int64), torch.zeros(2, 1, dtype=torch.int64)]
)
def test_labels_of_another_shape_or_dtype_are_refused(labels: torch.Tensor) -> None:
    with pytest.raises(InputError, match="labels: "):
        ImageSet(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), labels)


def test_shape_and_classes_of_a_dataset(image_set: ImageSet) -> None:
    dataset = Dataset("mine", image_set, image_set, tuple(str(i) for i in range(50)), NUMBERS, NUMBERS)
    assert dataset.image_shape == (3, 8, 6)
    assert dataset.num_classes == 50
    assert dataset.to("cpu").mean == NUMBERS


def test_inconsistent_datasets_are_refused(image_set: ImageSet) -> None:
    names = tuple(str(i) for i in range(50))
    with pytest.raises(InputError, match=r"training labels 0\.\.49, but 49 classes"):
        Dataset("mine", image_set, image_set, names[1:], NUMBERS, NUMBERS)
    with pytest.raises(InputError, match="must have one size"):
        Dataset("mine", image_set, ImageSet(image_set.images[..., 1:], image_set.labels), names, NUMBERS, NUMBERS)
    nothing = image_set.subset(torch.tensor([], dtype=torch.int64))
    with pytest.raises(InputError, match="the test set has no images"):
        Dataset("mine", image_set, nothing, names, NUMBERS, NUMBERS)


def test_a_dataset_may_have_no_test_images(image_set: ImageSet) -> None:
    dataset = Dataset("mine", image_set, None, tuple(str(i) for i in range(50)), NUMBERS, NUMBERS)
    assert list(dataset.parts) == ["train"]
    assert dataset.to("cpu").test is None


@pytest.mark.parametrize(
    ("mean", "std", "problem"),
    [
        (NUMBERS[:1], NUMBERS, r"mean=\(0\.5,\): must be 3 finite numbers"),
        (NUMBERS, (0.5, 0.5, float("inf")), "std=.*: must be 3 finite numbers"),
        (NUMBERS, (0.5, 0.5, 0.0), "std=.*: must be above 0"),
    ],
)
def test_unusable_statistics_are_refused(
    image_set: ImageSet, mean: tuple[float, ...], std: tuple[float, ...], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        Dataset("mine", image_set, None, tuple(str(i) for i in range(50)), mean, std)


def test_parts_of_different_dtypes_are_refused(image_set: ImageSet) -> None:
    floats = ImageSet(image_set.images.float(), image_set.labels)
    with pytest.raises(InputError, match="training images are uint8, test float32"):
        Dataset("mine", image_set, floats, tuple(str(i) for i in range(50)), NUMBERS, NUMBERS)
