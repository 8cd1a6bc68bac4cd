"""Ranking of cells by short trainings, with random cells beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from nas.reports.confidence import (
    CONFIDENCE,
    ConfidenceInterval,
    difference,
    interval,
    proportion_difference,
    proportion_interval,
)
from nas.reports.markdown import markdown_rows


@dataclass(frozen=True)
class Candidate:
    """A cell with the accuracies (0..1) of its trainings, one for each seed, on ``images`` held-out images each.

    ``random``: it was drawn, not found by a search. ``params`` and ``macs`` are those of the trained network.
    """

    name: str
    accuracies: tuple[float, ...]
    images: int
    random: bool
    params: int
    macs: int

    @property
    def accuracy(self) -> ConfidenceInterval:
        """The mean; its interval is Student's over the trainings, or Wilson's over the images of a single one."""
        if len(self.accuracies) > 1:
            return interval(self.accuracies)
        return proportion_interval(self.accuracies[0], self.images)


def rank_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates by mean accuracy, the best first."""
    return sorted(candidates, key=lambda candidate: -fmean(candidate.accuracies))


def describe_ranking(candidates: Sequence[Candidate]) -> str:
    """Return Markdown: a row for each cell, and whether the differences are more than noise."""
    ranked = rank_candidates(candidates)
    header = ["rank", "cell", "trainings", "held-out accuracy %", "interval", "parameters", "multiply-adds"]
    rows = []
    for rank, one in enumerate(ranked, 1):
        mean, spread = one.accuracy, one.accuracy.deviation
        shown = f"{100 * mean.mean:.2f}" + ("" if spread is None else f" ± {100 * spread:.2f}")
        counts = [f"{one.params:,}", f"{one.macs:,}"]
        rows.append([str(rank), one.name, str(len(one.accuracies)), shown, _bounds(mean), *counts])
    return "\n\n".join([markdown_rows(header, rows), *ranking_verdicts(ranked)]) + "\n"


def ranking_verdicts(ranked: Sequence[Candidate]) -> list[str]:
    """Return sentences on the best cell against the next, and on the found cells against the random ones."""
    confidence = f"{100 * CONFIDENCE:.0f} %"
    basis = f"Intervals: {confidence}, Student's and Welch's over the trainings."
    if any(len(one.accuracies) == 1 for one in ranked):
        basis = f"Intervals: {confidence}, over the images alone; --seeds 3 also measures how much trainings differ."
    sentences = [basis]
    if len(ranked) > 1:
        gap = _gap(ranked[0], ranked[1])
        sentences.append(f"{ranked[0].name} less {ranked[1].name}: {_points(gap)}: {_judged(gap)}.")
    found, drawn = ([fmean(one.accuracies) for one in ranked if one.random is random] for random in (False, True))
    if drawn and found:
        gap = difference(found, drawn)
        counted = f"Mean of {len(found)} found less mean of {len(drawn)} random cells"
        sentences.append(f"{counted}: {_points(gap)}: {_judged(gap)}.")
    return sentences


def _gap(one: Candidate, other: Candidate) -> ConfidenceInterval:
    if min(len(one.accuracies), len(other.accuracies)) > 1:
        return difference(one.accuracies, other.accuracies)
    return proportion_difference(one.accuracies[0], one.images, other.accuracies[0], other.images)


def _judged(gap: ConfidenceInterval) -> str:
    if gap.low is None or gap.high is None:
        return "one cell does not tell"
    return "noise, the interval includes 0" if gap.low <= 0 <= gap.high else "more than noise"


def _points(gap: ConfidenceInterval) -> str:
    return f"{gap.signed(scale=100)} percentage points"


def _bounds(mean: ConfidenceInterval) -> str:
    assert mean.low is not None
    assert mean.high is not None
    return f"{100 * max(0.0, mean.low):.2f}-{100 * min(1.0, mean.high):.2f}"
