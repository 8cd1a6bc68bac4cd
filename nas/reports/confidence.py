"""Means with confidence intervals, and differences of means."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class ConfidenceInterval:
    """A mean with its standard deviation and confidence interval; None for a single value."""

    mean: float
    deviation: float | None
    low: float | None
    high: float | None

    def signed(self, scale: float = 1.0) -> str:
        """Return the mean with a sign, and its interval if it has one, times ``scale``: ``+1.00 [-0.50, +2.50]``."""
        bounds = ""
        if self.low is not None and self.high is not None:
            bounds = f" [{scale * self.low:+.2f}, {scale * self.high:+.2f}]"
        return f"{scale * self.mean:+.2f}{bounds}"


def interval(values: Sequence[float], shift: float = 0.0) -> ConfidenceInterval:
    """Return mean, deviation and Student's interval of ``values``, less ``shift``."""
    mean = statistics.fmean(values) - shift
    if len(values) < 2:
        return ConfidenceInterval(mean, None, None, None)
    from scipy import stats  # takes a while to import

    deviation = statistics.stdev(values)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * deviation / len(values) ** 0.5
    return ConfidenceInterval(mean, deviation, mean - half, mean + half)


def difference(values: Sequence[float], others: Sequence[float]) -> ConfidenceInterval:
    """Return the mean of ``values`` less that of ``others``, with Welch's interval (Biometrika 34, 1947).

    Both have at least two numbers, else the interval is None; ``deviation`` is the standard error. Samples without any
    spread have an interval of width 0.
    """
    mean = statistics.fmean(values) - statistics.fmean(others)
    if min(len(values), len(others)) < 2:
        return ConfidenceInterval(mean, None, None, None)
    from scipy import stats  # takes a while to import

    parts = [statistics.variance(sample) / len(sample) for sample in (values, others)]
    error = sum(parts) ** 0.5
    if error == 0:
        return ConfidenceInterval(mean, 0.0, mean, mean)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(sample) - 1) for part, sample in zip(parts, (values, others), strict=True)
    )
    half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * error
    return ConfidenceInterval(mean, error, mean - half, mean + half)


def proportion_interval(share: float, number: int) -> ConfidenceInterval:
    """Return Wilson's interval of a proportion, 0..1, measured on ``number`` images (JASA 22, 1927)."""
    z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    scale = 1 + z**2 / number
    middle = (share + z**2 / (2 * number)) / scale
    half = z * (share * (1 - share) / number + (z / (2 * number)) ** 2) ** 0.5 / scale
    return ConfidenceInterval(share, None, max(0.0, middle - half), min(1.0, middle + half))


def proportion_difference(share: float, number: int, other: float, other_number: int) -> ConfidenceInterval:
    """Return the difference of two proportions with Newcombe's score interval (Statistics in Medicine 17, 1998)."""
    one, two = proportion_interval(share, number), proportion_interval(other, other_number)
    low = (_squared(share, one.low) + _squared(two.high, other)) ** 0.5
    high = (_squared(one.high, share) + _squared(other, two.low)) ** 0.5
    return ConfidenceInterval(share - other, None, share - other - low, share - other + high)


def _squared(one: float | None, other: float | None) -> float:
    assert one is not None
    assert other is not None
    return (one - other) ** 2
