"""The loop shared by search and training: epochs, steps, deadline, checkpoints, recovery from non-finite steps.

What a run does is a :class:`Task`; when it does it, and what happens if it fails, is decided here alone.
``on_nan`` says what follows a step whose loss, gradients or alphas are not finite:

- ``stop``: the run ends with :class:`DivergedError`; the last checkpoint stays.
- ``skip``: the step changes nothing and the next one follows; the 21st in a row ends the run.
- ``rollback``: the run returns to its last checkpoint and continues with half the weights' learning rate. The same
  steps at the same rate would diverge again, since all randomness is derived from their numbers. The sixth rollback
  ends the run.

A checkpoint that would hold a non-finite number is never written; it counts as a step that cannot be skipped.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from nas.core.errors import DivergedError
from nas.core.json_text import format_json
from nas.core.run_files import CHECKPOINT, FINGERPRINT
from nas.engine.epoch_summary import EpochNotes, EpochSummary
from nas.engine.fault_tolerance import FaultTolerance
from nas.engine.fingerprint import read_resume_anyway
from nas.engine.nonfinite import MAX_ROLLBACKS, MAX_SKIPPED, NotFiniteError, check_state_finite
from nas.engine.run_result import remove_unfinished_result
from nas.engine.run_state import NO_CHECKPOINT, RunState, last_checkpoint, load_newest
from nas.engine.running_metrics import RunningMetrics
from nas.engine.throughput import Throughput
from nas.runtime.deadline import Deadline, DeadlineReached, before_deadline
from nas.runtime.gc import frozen_gc
from nas.runtime.interval import Clock, read_interval
from nas.runtime.metrics_log import MetricsLog
from nas.runtime.progress import StatusLine
from nas.storage.atomic_files import write_file
from nas.storage.checkpoint_retention import save_with_retention


class Task(Protocol):
    """A search or a training, as the loop runs it. Epochs and steps count from 0, except in what is written."""

    epochs: int
    steps: int  # of an epoch
    batch_size: int

    @property
    def stopped(self) -> bool:
        """Whether the run ends before its last epoch, by its own decision."""

    @property
    def state(self) -> RunState:
        """All that the steps change."""

    @property
    def model(self) -> nn.Module:
        """The module that is put into training mode before an epoch's steps."""

    def batches(self, epoch: int, step: int) -> Iterator[Any]:
        """Yield the batches of ``epoch`` from ``step`` on."""

    def learning_rate(self, epoch: int, step: int) -> float:
        """Return the weights' learning rate of a step."""

    def step(self, batch: Any, lr: float) -> tuple[Tensor, Tensor, Tensor]:
        """Take the state's step; return its loss (), logits (B, classes) and labels (B,).

        Raises :class:`NotFiniteError`; weights and optimizers are then unchanged.
        """

    def evaluate(self, deadline: Deadline) -> dict[str, float | None]:
        """Evaluate after an epoch's steps; return its figures by their names in the metrics.

        Raises :class:`DeadlineReached`, and :class:`NotFiniteError` for figures that are not finite.
        """

    def record(self, epoch: EpochSummary, log: MetricsLog, folder: Path) -> EpochNotes:
        """Write a finished epoch's metrics and files; return notes for the console. The state is at the next epoch."""


def run_loop(
    task: Task,
    folder: Path,
    *,
    deadline: Deadline | None = None,
    fault_tolerance: FaultTolerance | None = None,
    resume: bool = False,
    verbose: bool = True,
) -> bool:
    """Run ``task`` to the end of its last epoch; False if ``deadline`` came first, after writing a checkpoint.

    Without ``verbose`` nothing is shown. With ``resume`` it continues from the newest valid checkpoint in ``folder``.
    Raises :class:`DivergedError`, and :class:`InputError` if data, operators, space, kernels or torch are not those of
    the checkpoint.
    """
    faults = fault_tolerance or FaultTolerance()
    last = NO_CHECKPOINT
    if resume:
        last = load_newest(task.state, folder, read_resume_anyway(faults.resume_anyway))
        remove_unfinished_result(folder)
    write_file(folder / FINGERPRINT, format_json(dict(task.state.fingerprint), indent=1).encode())
    return _Loop(task, folder, deadline or Deadline(None), faults, last, verbose).run()


class _Loop:
    """One session of a run: from its start or a checkpoint to its end or the deadline."""

    def __init__(
        self, task: Task, folder: Path, deadline: Deadline, fault_tolerance: FaultTolerance, last: str, verbose: bool
    ) -> None:
        self.task, self.state, self.folder, self.deadline = task, task.state, folder, deadline
        self.fault_tolerance = fault_tolerance
        self.last = last  # where the last checkpoint is, in words
        self.throughput = Throughput(task.steps, task.epochs, task.batch_size)
        self.log = MetricsLog(folder, task.state.epoch)
        self.line = StatusLine(30.0, quiet=not verbose, stamped=True)
        self.clock = Clock(read_interval("checkpoint_every", fault_tolerance.checkpoint_every))

    def run(self) -> bool:
        """See :func:`run_loop`."""
        try:
            if self.fault_tolerance.on_nan == "rollback" and not (self.folder / CHECKPOINT).exists():
                self._checkpoint()
            with frozen_gc():
                return self._run_epochs()
        finally:
            self.line.end()
            self.log.close()

    def _run_epochs(self) -> bool:
        while self.state.epoch < self.task.epochs and not self.task.stopped:
            try:
                try:
                    self._run_epoch()
                except DeadlineReached:
                    self._checkpoint()
                    return False
            except NotFiniteError as error:
                self._roll_back(error)
        return True

    def _run_epoch(self) -> None:
        """Finish the state's epoch: its remaining steps, evaluation, record, checkpoint."""
        self._run_steps()
        self.deadline.pause()
        figures = self.task.evaluate(self.deadline)
        self.deadline.pause()
        summary = self._summary(figures)
        self._start_next_epoch()
        notes = self.task.record(summary, self.log, self.folder)
        for text in (summary.line(self.task.epochs, notes.parts), *notes.lines):
            self.line.show(text, last=True)
        self._checkpoint()
        self.throughput.end_epoch()

    def _run_steps(self) -> None:
        task, state = self.task, self.state
        task.model.train()
        self.throughput.start_epoch(state.step)
        batches = task.batches(state.epoch, state.step)
        for batch in before_deadline(batches, task.steps - state.step, self.deadline):
            lr = self._learning_rate(state.step)
            self._take_step(batch, lr)
            if self.line.due():
                figures = (*state.metrics.read(), lr, state.nonfinite)
                self.line.show(self.throughput.step_line(state.epoch, state.step, *figures))
        self.throughput.end_steps(state.step)

    def _take_step(self, batch: Any, lr: float) -> None:
        """Take a step and count it; write a checkpoint if it is time.

        Raises :class:`NotFiniteError` if the step does and cannot be skipped.
        """
        state = self.state
        restore = state.snapshot() if self.fault_tolerance.on_nan == "skip" else None
        try:
            loss, logits, labels = self.task.step(batch, lr)
        except NotFiniteError:
            if restore is None or state.nonfinite.in_a_row == MAX_SKIPPED:
                raise
            restore()
            state.nonfinite.skipped += 1
            state.nonfinite.in_a_row += 1
        else:
            state.metrics.add(loss, logits, labels)
            state.nonfinite.in_a_row = 0
        state.step += 1
        if self.clock.due(state.step):
            self._checkpoint()

    def _learning_rate(self, step: int) -> float:
        return self.task.learning_rate(self.state.epoch, step) * self.state.nonfinite.lr_factor

    def _summary(self, figures: dict[str, float | None]) -> EpochSummary:
        state = self.state
        state.seconds += self.throughput.take()
        return EpochSummary(
            state.epoch + 1,
            *state.metrics.read(),
            figures,
            lr=self._learning_rate(self.task.steps - 1),
            images_per_second=self.throughput.images_per_second or None,  # None: no step of it in this session
            seconds=state.seconds,
            skipped=state.nonfinite.skipped,
        )

    def _start_next_epoch(self) -> None:
        state = self.state
        state.epoch, state.step, state.metrics = state.epoch + 1, 0, RunningMetrics(state.metrics.sums.device)
        state.nonfinite.skipped = 0

    def _checkpoint(self) -> None:
        """Write a checkpoint; raise :class:`NotFiniteError` instead if a number in it is not finite."""
        self.state.seconds += self.throughput.take()
        saved = self.state.to_dict()
        check_state_finite(saved)
        save_with_retention(self.folder / CHECKPOINT, saved, self.fault_tolerance.keep_checkpoints)
        self.last = last_checkpoint(self.state, self.folder)
        self.clock.restart()

    def _roll_back(self, error: NotFiniteError) -> None:
        """Return to the last checkpoint if ``on_nan`` allows it; otherwise raise :class:`DivergedError`."""
        state, rollbacks = self.state, self.state.nonfinite.rollbacks + 1
        what = f"epoch {state.epoch + 1}, step {state.step + 1}: {error} is not finite"
        if self.fault_tolerance.on_nan != "rollback" or rollbacks > MAX_ROLLBACKS:
            hint = "a lower weights.lr may help, or on_nan=skip or rollback"
            raise DivergedError(f"the run diverged in {what}{state.nonfinite}; {self.last}; {hint}") from error
        load_newest(state, self.folder)
        state.nonfinite.rollbacks = rollbacks
        self.log.close()
        self.log = MetricsLog(self.folder, state.epoch)  # removes the rows of epochs that are run again
        back = f"back to epoch {state.epoch + 1}, step {state.step}, with half the learning rate"
        self.line.show(f"{what}; {back} ({rollbacks} of at most {MAX_ROLLBACKS} times)", last=True)
