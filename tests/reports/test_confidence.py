"""Intervals against published examples and scipy."""

import pytest
from scipy import stats

from nas.reports.confidence import difference, proportion_difference, proportion_interval


def test_welch_agrees_with_scipy() -> None:
    one, other = [0.91, 0.93, 0.90, 0.95], [0.88, 0.89, 0.93]
    found = difference(one, other)
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_samples_without_spread() -> None:
    assert difference([0.5, 0.5], [0.25, 0.25]).low == 0.25
    assert difference([0.5], [0.25, 0.25]).low is None


@pytest.mark.parametrize(("hits", "number"), [(0, 20), (7, 10), (81, 263), (20, 20)])
def test_wilson_agrees_with_scipy(hits: int, number: int) -> None:
    found = proportion_interval(hits / number, number)
    expected = stats.binomtest(hits, number).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_newcombes_published_example() -> None:
    """56 of 70 against 48 of 80: method 10 of his Table II."""
    found = proportion_difference(56 / 70, 70, 48 / 80, 80)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
