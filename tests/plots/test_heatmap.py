"""The heat map of strengths: warm where an operator wins, cold where it loses, whatever the spread."""

import numpy as np
import pytest

from nas.graph.space import read_space
from nas.plots.heatmap import heatmap


@pytest.mark.parametrize("spread", [1e-4, 0.1])
def test_colours_tell_winners_from_losers(spread):
    space = read_space("tiny")
    strengths = np.full((5, 5), 0.2)
    strengths[0, 0] += spread
    strengths[4, 4] -= spread
    picture = heatmap(strengths, space, "normal cell").astype(int)
    assert picture.shape[2] == 3
    warm = (picture[..., 0] - picture[..., 2]) > 60
    cold = (picture[..., 2] - picture[..., 0]) > 60
    left = slice(None), slice(0, picture.shape[1] * 3 // 4)  # without the colour bar
    assert warm[left].any()
    assert cold[left].any()
    assert np.argwhere(warm[left])[:, 0].mean() < np.argwhere(cold[left])[:, 0].mean()  # edge 0 is on top


def test_even_strengths_are_white():
    picture = heatmap(np.full((5, 5), 0.2), read_space("tiny"), "normal cell").astype(int)
    centre = picture[picture.shape[0] // 3, picture.shape[1] // 2]
    assert centre.min() > 230
