import pytest
import torch

from nas.core.errors import InputError
from nas.data import Dataset, ImageSet, search_split
from nas.data.halves import half_indices, require_two_classes, search_halves, split_fingerprint, warn_missing_classes


def dataset(labels: list[int], classes: int) -> Dataset:
    images = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None]
    names = tuple(f"c{index:02d}" for index in range(classes))
    return Dataset("own", ImageSet(images, torch.tensor(labels)), None, names, (0.0,), (1.0,))


def test_many_images_are_split_at_random_as_in_darts() -> None:
    labels = torch.arange(200) % 2
    for given, expected in zip(half_indices(labels, 3, 0.5), search_split(200, 3, 0.5), strict=True):
        assert torch.equal(given, expected)


@pytest.mark.parametrize("seed", range(5))
def test_two_images_of_a_class_go_to_both_halves(seed: int) -> None:
    labels = torch.arange(40).repeat(2)
    for half in half_indices(labels, seed, 0.5):
        assert labels[half].sort().values.tolist() == list(range(40))


def test_classes_without_images_in_a_half_are_named_once_a_half(capsys: pytest.CaptureFixture[str]) -> None:
    weights, alphas = search_halves(dataset(list(range(40)), 40), 0, 0.5, verbose=True)
    assert (len(weights), len(alphas)) == (20, 20)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("warning: the half for the weights has no image of 20 of 40 classes: 'c")
    assert second.startswith("warning: the half for the alphas has no image of 20 of 40 classes: 'c")
    assert first.count("'c") == 5


def test_a_missing_class_of_any_set_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    warn_missing_classes(torch.tensor([0, 2]), ("a", "b", "c"), "the test set")
    assert capsys.readouterr().err == "warning: the test set has no image of 1 of 3 classes: 'b'\n"
    warn_missing_classes(torch.tensor([0, 1]), ("a", "b"), "the test set")
    assert capsys.readouterr().err == ""


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="own: all 3 images are of one class, 'c01'; allowed: images of two"):
        require_two_classes(dataset([1, 1, 1], 2), "own")
    require_two_classes(dataset([1, 0], 2), "own")


def test_the_fingerprint_tells_a_stratified_split() -> None:
    assert split_fingerprint(dataset([0, 1] * 100, 2), 3, 0.5) == {}
    assert split_fingerprint(dataset(list(range(40)) * 2, 40), 3, 0.5) == {"data.split": "stratified"}
