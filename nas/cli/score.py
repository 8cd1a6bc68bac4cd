"""``nas score``: searches against a table of true accuracies."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nas.cli.resume_checks import require_repeated, settings_to_repeat
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.shell_quoting import quote_value
from nas.core.terminal import print_lines
from nas.ops.registry import load_user_operators
from nas.reports.run_folder import read_config
from nas.reports.supernet_ranking import SupernetRankings
from nas.reports.truth_report import curves_csv, describe_scores, plot_scores
from nas.reports.truth_score import ScoredRun, score_run
from nas.reports.truth_table import TruthTable, read_truth_table
from nas.storage.atomic_files import write_file

_REPEATABLE = ("ops", "space", "data.root", "data.valid", "data.cache")


def score_command(
    runs: Sequence[Path],
    truth: Path,
    column: str | None,
    sample: int,
    images: int | None,
    repeated: Sequence[str],
    output: Path | None,
) -> None:
    """Print the scores of ``runs``; write tables, curves and plot to ``output`` (.svg) and files beside it."""
    if output is not None and output.suffix != ".svg":
        raise InputError(f"{output}: must end with .svg")
    settings = _read_settings(repeated)
    if sample:
        for run in runs:
            again = [f"{key}={quote_value(value)}" for key, value in settings.items()]
            require_repeated(run, settings_to_repeat(read_config(run)), again)
    table = read_truth_table(truth, column)
    scored = [score_run(run, table) for run in runs]
    if sample:
        scored = _with_tau(scored, table, sample, images, settings)
    text = describe_scores(scored, table)
    print_lines(*text.rstrip("\n").split("\n"))
    if output is not None:
        files = {".svg": plot_scores(scored, table), ".md": text.encode(), ".csv": curves_csv(scored).encode()}
        for suffix, data in files.items():
            write_file(output.with_suffix(suffix), data)
            print_lines(output.with_suffix(suffix))


def _with_tau(
    scored: Sequence[ScoredRun], table: TruthTable, sample: int, images: int | None, settings: dict[str, str]
) -> list[ScoredRun]:
    if "ops" in settings:
        load_user_operators(settings["ops"])
    data = {key.removeprefix("data."): value for key, value in settings.items() if key.startswith("data.")}
    rankings = SupernetRankings(table, sample, images=images, data=data)
    return [replace(run, tau=rankings.tau(run.folder)) for run in scored]


def _read_settings(words: Sequence[str]) -> dict[str, str]:
    settings = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or key not in _REPEATABLE:
            raise InputError(f"--set {format_value(word)}: allowed: {', '.join(f'{k}=VALUE' for k in _REPEATABLE)}")
        settings[key] = value
    return settings
