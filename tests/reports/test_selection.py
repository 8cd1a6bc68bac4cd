"""Rankings of cells: order, intervals and what is called noise."""

import pytest

from nas.reports.selection import Candidate, describe_ranking


def cell(name: str, *accuracies: float, random: bool = False) -> Candidate:
    return Candidate(name, accuracies, 1000, random, 1234, 56789)


def test_a_small_difference_is_noise_and_a_large_one_is_not() -> None:
    close = describe_ranking([cell("a", 0.90, 0.92), cell("b", 0.91, 0.93), cell("random-0", 0.5, 0.52, random=True)])
    assert "| 1 | b | 2 | 92.00 ± 1.41 | " in close
    assert "b less a: +1.00 [-5.08, +7.08] percentage points: noise" in close
    assert "Mean of 2 found less mean of 1 random cells: +40.50 percentage points: one cell does not tell." in close
    far = describe_ranking([cell("a", 0.90, 0.901, 0.902), cell("b", 0.80, 0.801, 0.802)])
    assert "a less b: +10.00 [+9.77, +10.23] percentage points: more than noise." in far


def test_a_single_training_has_the_interval_of_its_images() -> None:
    text = describe_ranking([cell("a", 0.9), cell("random-0", 0.5, random=True)])
    assert "| 1 | a | 1 | 90.00 | 87.98-91.71 | 1,234 | 56,789 |" in text  # Wilson, by scipy
    assert "--seeds 3" in text
    assert "more than noise" in text


@pytest.mark.parametrize("number", [1, 3])
def test_found_cells_against_random_ones(number: int) -> None:
    """Welch's interval over the cells' means: with Student's distribution of 2 degrees of freedom for equal spreads."""
    found = [cell(f"a{i}", *[0.9 + i / 100] * number) for i in range(2)]
    drawn = [cell(f"random-{i}", *[0.8 + i / 100] * number, random=True) for i in range(2)]
    half = 100 * 4.302653 * 0.01 / 2**0.5
    expected = f"Mean of 2 found less mean of 2 random cells: +10.00 [{10 - half:+.2f}, {10 + half:+.2f}]"
    assert expected in describe_ranking([*found, *drawn])
