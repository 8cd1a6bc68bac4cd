"""Training and evaluation on images that are not RGB bytes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nas
from nas.core.errors import InputError
from nas.core.run_files import BEST, CHECKPOINT
from nas.data import Dataset, ImageSet
from nas.data.pixels import channel_statistics
from nas.graph.zoo import load_genotype
from nas.search.loop import run_search_loop
from nas.storage.checkpoint import load_checkpoint
from nas.train.loop import run_training_loop
from nas.train.network_spec import check_test_images, make_network_spec, network_spec_from_dict
from nas.train.result import write_train_result
from nas.train.trained_network import load_trained
from tests.helpers.search_settings import SETTINGS
from tests.helpers.train_settings import SMALL

CPU = torch.device("cpu")


@pytest.fixture
def measured(digits):
    """One-channel float images, with values in 0..16 as measured by an instrument."""

    def gray(images: ImageSet) -> ImageSet:
        return ImageSet(images.images[:, :1].float() / 255 * 16, images.labels)

    train, test = gray(digits.train), gray(digits.test)
    return Dataset("measured", train, test, digits.classes, *channel_statistics(train.images))


def test_a_search_on_one_channel_of_floats(measured, tmp_path):
    settings = replace(SETTINGS, epochs=1, objective=replace(SETTINGS.objective, params=1.0, channels=2, cells=3))
    augment = nas.data.AugmentSettings(1, False)
    result = run_search_loop(nas.load_space("tiny"), measured, settings, tmp_path, augment=augment, device=CPU)
    assert result.finished
    assert load_checkpoint(tmp_path / CHECKPOINT)["model"]["stem.0.weight"].shape == (6, 1, 3, 3)


def test_a_training_on_one_channel_of_floats(measured, tmp_path):
    settings = replace(SMALL, epochs=1, warmup_epochs=0)
    state = run_training_loop(load_genotype("darts_v2"), measured, settings, tmp_path, augment=None, device=CPU)
    assert write_train_result(state, tmp_path, 0).params == nas.cost(state.model, (1, 8, 8)).params
    network, spec = load_trained(tmp_path)
    assert (spec.image_shape, spec.image_dtype, spec.mean) == ((1, 8, 8), "float32", measured.mean)
    assert network.stem[0].weight.shape == (6, 1, 3, 3)


def test_a_training_without_test_images_is_not_evaluated(measured, tmp_path):
    untested = replace(measured, test=None)
    settings = replace(SMALL, epochs=1, warmup_epochs=0)
    state = run_training_loop(load_genotype("darts_v2"), untested, settings, tmp_path, augment=None, device=CPU)
    assert (state.test_accuracy, state.best_accuracy) == (None, None)
    assert not (tmp_path / BEST).exists()
    write_train_result(state, tmp_path, 0)
    assert load_trained(tmp_path)[1].image_shape == (1, 8, 8)


def test_a_file_from_before_other_dtypes_is_of_bytes(digits):
    spec = make_network_spec(load_genotype("darts_v2"), digits, SMALL)
    older = {key: value for key, value in spec.to_dict().items() if key not in ("image_dtype", "fingerprint")}
    assert network_spec_from_dict(older, "here") == spec
    assert spec.image_dtype == "uint8"


def test_images_of_another_form_are_not_evaluated(digits, measured):
    spec = make_network_spec(load_genotype("darts_v2"), digits, SMALL)
    gray = ImageSet(digits.test.images[:, :1], digits.test.labels)
    floats = ImageSet(digits.test.images.float(), digits.test.labels)
    for test, problem in ((gray, "with 3 channels, these have 1"), (floats, "on uint8 images, these are float32")):
        channels = test.image_shape[0]
        data = Dataset("other", test, test, digits.classes, digits.mean[:channels], digits.std[:channels])
        with pytest.raises(InputError, match=problem):
            check_test_images(spec, data, Path("a.pt"))
    with pytest.raises(InputError, match="no test images"):
        check_test_images(spec, replace(digits, test=None), Path("a.pt"))
