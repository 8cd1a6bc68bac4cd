"""A sweep (``-m``): jobs in turn, each in the folder of its settings; what is finished is not run again."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from nas.cli.exit_codes import FailedExit
from nas.cli.program import program_name
from nas.core.formatting import format_plural
from nas.core.terminal import print_lines


class AlreadyFinishedError(Exception):
    """The run of a sweep's job has finished before."""


@dataclass
class Job:
    """The running job of a sweep: the settings that vary between the jobs, as typed, and its folder once it has one."""

    swept: dict[str, str]
    folder: Path | None = None

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.swept.items()) or "the only job"


class Sweep:
    """The jobs that this process has run: their folders, and the failed ones with their messages and exit codes.

    Command line ``arguments`` without ``-m`` are no sweep: their only job fails as ever, and nothing is listed.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.asked = any(word in ("-m", "--multirun") for word in arguments)
        self.swept = swept_keys(arguments)
        self.folders: list[Path] = []
        self.failures: list[tuple[str, FailedExit]] = []
        self.jobs = 0

    def run(self, overrides: Sequence[str], work: Callable[[], None]) -> None:
        """Run the job with ``overrides`` (key=value); a failure is kept for the end, a signal ends the sweep."""
        global _job
        if not self.asked:
            work()
            return
        job = Job(job_settings(overrides, self.swept))
        self.jobs, _job = self.jobs + 1, job
        try:
            work()
        except AlreadyFinishedError:
            print_lines(f"{job}: already finished in {job.folder}", flush=True)
        except FailedExit as error:
            self.failures.append((str(job), error))
        finally:
            _job = None
            if job.folder is not None and job.folder not in self.folders:
                self.folders.append(job.folder)

    def end(self) -> None:
        """Print the table of the runs and the failed jobs; exit with the code of the first failure, if there is one."""
        if not self.asked:
            return
        if not self.jobs:
            print_lines(f"the jobs ran in other processes; list their runs with: {program_name('runs')}")
            return
        from nas.reports.runs import runs_table, summarize_run  # with torch, of which the completion has no need

        if runs := [summarize_run(folder) for folder in self.folders if folder.is_dir()]:
            print_lines("", *runs_table(runs), flush=True)
        failed = f"{len(self.failures)} failed" if self.failures else "none failed"
        print_lines(f"sweep of {format_plural(self.jobs, 'job')}: {failed}", flush=True)
        for job, error in self.failures:
            print_lines(f"failed: {job}: {error.text}")
        if self.failures:
            print_lines("the same command again runs only what is missing or failed", flush=True)
            raise self.failures[0][1]


_job: Job | None = None


def current_job() -> Job | None:
    """Return the running job of a sweep, None outside of one."""
    return _job


def swept_keys(arguments: Sequence[str]) -> list[str]:
    """Return the keys that have several values in command line ``arguments``; Hydra refuses what cannot be read."""
    parser = OverridesParser.create()
    keys = []
    for word in arguments:
        try:
            override = parser.parse_override(word)
        except HydraException:
            continue  # an option, or an error that is reported later
        if override.is_sweep_override():
            keys.append(override.key_or_group)
    return keys


def job_settings(overrides: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """Return the values of ``keys`` in a job's ``overrides`` (key=value)."""
    pairs = (override.lstrip("+~").partition("=") for override in overrides)
    values = {re.split("@", key)[0]: value for key, _, value in pairs}
    return {key: values[key] for key in keys if key in values}
