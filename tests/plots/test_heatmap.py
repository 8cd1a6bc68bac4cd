"""Heat map of strengths: red above the uniform strength, blue below, at any spread."""

import numpy as np
import pytest

from nas.graph.space_file import read_space
from nas.plots.heatmap import heatmap


@pytest.mark.parametrize("spread", [1e-4, 0.1])
def test_colors_show_the_sign_of_the_deviation(spread):
    space = read_space("tiny")
    strengths = np.full((5, 5), 0.2)
    strengths[0, 0] += spread
    strengths[4, 4] -= spread
    image = heatmap(strengths, space, "normal cell").astype(int)
    assert image.shape[2] == 3
    red = (image[..., 0] - image[..., 2]) > 60
    blue = (image[..., 2] - image[..., 0]) > 60
    left = slice(None), slice(0, image.shape[1] * 3 // 4)  # without the color bar
    assert red[left].any()
    assert blue[left].any()
    assert np.argwhere(red[left])[:, 0].mean() < np.argwhere(blue[left])[:, 0].mean()  # edge 0 is on top


def test_uniform_strengths_are_white():
    image = heatmap(np.full((5, 5), 0.2), read_space("tiny"), "normal cell").astype(int)
    center = image[image.shape[0] // 3, image.shape[1] // 2]
    assert center.min() > 230
