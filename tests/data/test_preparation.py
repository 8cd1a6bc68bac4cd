"""Image files prepared for a trained network as those of its training were."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.errors import InputError
from nas.data import DataSettings, load_dataset
from nas.data.preparation import Preparation, preparation_from_dict


@pytest.mark.parametrize("changes", [{}, {"size": 4}, {"size": 8, "stream": True, "workers": 0}])
def test_a_file_becomes_what_it_is_in_the_dataset(make_folder, folder_settings, changes):
    root = make_folder(size=(7, 5))
    dataset = load_dataset(folder_settings(root, **changes))
    (images, _), *_ = dataset.test.read(torch.arange(6), 6, None)
    files = sorted((root / "test").glob("*/*.png"))
    read = [dataset.preparation.read(file, dataset.image_shape) for file in files]
    assert torch.equal(torch.stack(read), images)


def test_gray_networks_and_deep_pixels(tmp_path):
    Image.fromarray(np.full((4, 6), 2000, np.uint16)).save(tmp_path / "deep.png")
    pixels = Preparation(levels=(0.0, 4000.0)).read(tmp_path / "deep.png", (1, 4, 6))
    assert (pixels.shape, pixels.dtype) == ((1, 4, 6), torch.uint8)
    assert pixels.unique().tolist() in ([127], [128])
    with pytest.raises(InputError, match=r"deep\.png: 4x6; the network was trained on 8x8, images taken as they are"):
        Preparation().read(tmp_path / "deep.png", (3, 8, 8))
    with pytest.raises(InputError, match="images of 5 channels do not come from image files"):
        Preparation().read(tmp_path / "deep.png", (5, 4, 6))


def test_what_a_file_may_say():
    for preparation in (Preparation(), Preparation("center", (0.0, 5.0)), load_dataset("digits").preparation):
        assert preparation_from_dict(preparation.to_dict()) == preparation
    for wrong in (None, [], {"crop": "whole"}, {"crop": "x", "levels": None}, {"crop": "whole", "levels": ["a", 1]}):
        with pytest.raises(InputError, match="preparation="):
            preparation_from_dict(wrong)
    assert DataSettings("digits").name == "digits"
