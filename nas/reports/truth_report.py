"""Tables and the plot of scores against true accuracies."""

import csv
import io
import statistics
from collections.abc import Sequence

from nas.plots.figure import new_figure, to_svg
from nas.reports.confidence import CONFIDENCE, interval
from nas.reports.markdown import DASH, markdown_rows
from nas.reports.truth_score import ScoredRun, group_runs
from nas.reports.truth_table import TruthTable

_BEST_OF = (1, 10, 100)


def describe_scores(runs: Sequence[ScoredRun], table: TruthTable) -> str:
    """Return Markdown: what random cells are worth, each method's figures over its runs, and each run's."""
    size = len(table.ascending)
    random = ", ".join(f"{table.expected_best(number):.2f} (best of {number})" for number in _BEST_OF)
    intro = f"{table.name}: {size:,} cells. Random cells: {random}; the best cell: {table.ascending[-1]:.2f}."
    note = (
        f"Mean ± standard deviation over the runs. Improvement: over the mean of all cells, in percentage points, with "
        f"its {100 * CONFIDENCE:.0f} % interval (Student's t). τ: Kendall's, of the supernet's ranking."
    )
    return "\n\n".join([intro, note, methods_table(runs, table), scored_runs_table(runs)]) + "\n"


def methods_table(runs: Sequence[ScoredRun], table: TruthTable) -> str:
    """Return a row for each method."""
    header = ["method", "runs", "accuracy %", "percentile", "improvement", "skips", "τ", "minutes"]
    rows = []
    mean = statistics.fmean(table.ascending)
    for method, own in group_runs(runs).items():
        accuracies = [run.last.accuracy for run in own]
        improvement = interval(accuracies, mean).signed()
        percentile = _shown([run.last.percentile for run in own], 1)
        skips, tau = _shown([run.last.skips for run in own], 1), _shown([run.tau for run in own], 2)
        minutes = _shown([run.last.minutes for run in own], 1)
        rows.append([method, str(len(own)), _shown(accuracies, 2), percentile, improvement, skips, tau, minutes])
    return markdown_rows(header, rows)


def scored_runs_table(runs: Sequence[ScoredRun]) -> str:
    """Return a row for each run: its cell after the last epoch, and the best and worst of its cells."""
    header = ["run", "epochs", "accuracy %", "rank", "percentile", "skips", "best epoch", "worst epoch", "τ", "minutes"]
    rows = []
    for run in runs:
        last, ordered = run.last, sorted(run.curve, key=lambda cell: cell.accuracy)
        ends = [f"{cell.accuracy:.2f} ({cell.epoch})" for cell in (ordered[-1], ordered[0])]
        tau = DASH if run.tau is None else f"{run.tau:.2f}"
        minutes = DASH if last.minutes is None else f"{last.minutes:.1f}"
        figures = [f"{last.accuracy:.2f}", f"{last.rank:,}", f"{last.percentile:.1f}", f"{last.skips} of {last.edges}"]
        rows.append([run.folder.name, str(last.epoch), *figures, *ends, tau, minutes])
    return markdown_rows(header, rows)


def curves_csv(runs: Sequence[ScoredRun]) -> str:
    """Return a row for each run and epoch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "epoch", "minutes", "accuracy", "rank", "percentile", "skips"])
    for run in runs:
        for cell in run.curve:
            minutes = "" if cell.minutes is None else f"{cell.minutes:.2f}"
            figures = [f"{cell.accuracy:.2f}", cell.rank, f"{cell.percentile:.1f}", cell.skips]
            writer.writerow([run.folder.name, cell.epoch, minutes, *figures])
    return text.getvalue()


def plot_scores(runs: Sequence[ScoredRun], table: TruthTable) -> bytes:
    """Return an SVG of the anytime curves: true accuracy of each run's cell by epoch, a panel for each method."""
    groups = group_runs(runs)
    figure = new_figure(3 + 2.2 * len(groups), 3.4)
    panels = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for axes, (method, own) in zip(panels, groups.items(), strict=True):
        for run in own:
            axes.plot([c.epoch for c in run.curve], [c.accuracy for c in run.curve], marker=".", label=run.folder.name)
        axes.axhline(statistics.fmean(table.ascending), color="black", linewidth=0.8, label="mean of all cells")
        axes.axhline(table.ascending[-1], color="black", linewidth=0.8, linestyle="dotted", label="best cell")
        axes.set(title=method, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=6, loc="lower right")
    figure.axes[0].set_ylabel("true accuracy %")
    return to_svg(figure)


def _shown(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return DASH
    found = interval(known)
    return f"{found.mean:.{digits}f}" + ("" if found.deviation is None else f" ± {found.deviation:.{digits}f}")
