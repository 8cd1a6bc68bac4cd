"""What every run does the same way, search or retraining: its sittings, its checkpoints, and its answer to NaN.

``on_nan`` says what follows a step whose loss, gradients or alphas are not finite:

- ``stop``: the run ends with :class:`DivergedError`; the last checkpoint stays.
- ``skip``: the step changes nothing and the next one follows; at the 21st in a row the run ends so.
- ``rollback``: the run goes back to its last checkpoint and on from there with half the weights' learning rate. The
  same steps at the same rate would diverge again, since all randomness follows from their numbers. At the sixth time
  the run ends so.

A checkpoint that would hold such a number is never written: that counts as a step which cannot be skipped.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from nas.core.errors import DivergedError
from nas.core.run_files import CHECKPOINT
from nas.engine.fault_tolerance import FaultTolerance
from nas.engine.nonfinite import MAX_ROLLBACKS, MAX_SKIPPED, NonFiniteCounts, NotFiniteError, check_state_finite
from nas.engine.running_metrics import RunningMetrics
from nas.engine.throughput import Throughput
from nas.runtime.deadline import Deadline
from nas.runtime.gc import frozen_gc
from nas.runtime.interval import Clock, read_interval
from nas.runtime.metrics_log import MetricsLog
from nas.runtime.progress import StatusLine
from nas.storage.checkpoint import load_checkpoint
from nas.storage.checkpoint_retention import newest_valid_checkpoint, promote_checkpoint, save_with_retention

NOTHING_SAVED = "there is no checkpoint yet"


class RunState(Protocol):
    """What a run's steps change: ``step`` steps of epoch ``epoch`` are done."""

    epoch: int
    step: int
    seconds: float
    metrics: RunningMetrics
    nonfinite: NonFiniteCounts

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint holds."""

    def load_dict(self, saved: dict[str, Any], where: str) -> None:
        """Go back to what :meth:`to_dict` gave."""

    def remember(self) -> Callable[[], None]:
        """A function that takes back what a step changes in front of the weights' optimiser."""


@dataclass
class Sitting:
    """One sitting at a run: from its start, or from a checkpoint, to its end or to the deadline."""

    state: RunState
    folder: Path
    fault_tolerance: FaultTolerance
    deadline: Deadline
    throughput: Throughput
    tracker: MetricsLog
    saved: str  # what there is to go back to, in words
    line: StatusLine = field(default_factory=StatusLine)

    def __post_init__(self) -> None:
        self.clock = Clock(read_interval("checkpoint_every", self.fault_tolerance.checkpoint_every))

    def run(self, epoch: Callable[[], bool], epochs: int) -> bool:
        """Call ``epoch``, which finishes one, until all are done; False where it says that the deadline came first.

        There is a checkpoint then. Raises :class:`DivergedError`.
        """
        try:
            if self.fault_tolerance.on_nan == "rollback" and not (self.folder / CHECKPOINT).exists():
                self.checkpoint()
            with frozen_gc():
                return self._epochs(epoch, epochs)
        finally:
            self.tracker.close()

    def _epochs(self, epoch: Callable[[], bool], epochs: int) -> bool:
        while self.state.epoch < epochs:
            try:
                if not epoch():
                    self.checkpoint()
                    return False
            except NotFiniteError as error:
                self._answer(error)
        return True

    def step(self, work: Callable[[], tuple[Tensor, Tensor]], labels: Tensor) -> None:
        """Do a step, which gives its loss and its logits (B, classes), and count it; a checkpoint where it is time.

        Raises :class:`NotFiniteError` where the step does and ``on_nan`` has no answer to it here.
        """
        state = self.state
        restore = state.remember() if self.fault_tolerance.on_nan == "skip" else None
        try:
            loss, logits = work()
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
            self.checkpoint()

    def next_epoch(self) -> None:
        """The state's epoch is done."""
        state = self.state
        state.epoch, state.step, state.metrics = state.epoch + 1, 0, RunningMetrics(state.metrics.sums.device)
        state.nonfinite.skipped = 0

    def checkpoint(self) -> None:
        """Write a checkpoint; raises :class:`NotFiniteError` instead where a number in it is not finite."""
        self.state.seconds += self.throughput.take()
        saved = self.state.to_dict()
        check_state_finite(saved)
        save_with_retention(self.folder / CHECKPOINT, saved, self.fault_tolerance.keep_checkpoints)
        self.saved = _last_whole(self.state, self.folder)
        self.clock.restart()

    def _answer(self, error: NotFiniteError) -> None:
        """Go back to the last checkpoint where ``on_nan`` says so and it helps; else raises :class:`DivergedError`."""
        state, rollbacks = self.state, self.state.nonfinite.rollbacks + 1
        what = f"epoch {state.epoch + 1}, step {state.step + 1}: {error} is not finite"
        if self.fault_tolerance.on_nan != "rollback" or rollbacks > MAX_ROLLBACKS:
            hint = "a lower weights.lr may help, or on_nan=skip or rollback"
            raise DivergedError(f"the run diverged in {what}{state.nonfinite}; {self.saved}; {hint}") from error
        load_newest(state, self.folder)
        state.nonfinite.rollbacks = rollbacks
        self.tracker.close()
        self.tracker = MetricsLog(self.folder, state.epoch)  # takes back rows of what is done once more
        place = f"back to epoch {state.epoch + 1}, step {state.step}, with half the learning rate"
        self.line.show(f"{what}; {place} ({rollbacks} of at most {MAX_ROLLBACKS} times)", last=True)


def load_newest(state: RunState, folder: Path) -> str:
    """Go back to the newest whole checkpoint in ``folder``, if there is any, and say where that is.

    Damaged ones that are newer are put aside, with a warning. Raises :class:`InputError` where none is whole, and for
    a checkpoint of another run.
    """
    chosen = newest_valid_checkpoint(folder / CHECKPOINT)
    if chosen is None:  # a kill in front of the first one leaves none
        return NOTHING_SAVED
    state.load_dict(load_checkpoint(chosen), str(chosen))
    promote_checkpoint(chosen, folder / CHECKPOINT)
    return _last_whole(state, folder)


def _last_whole(state: RunState, folder: Path) -> str:
    return f"the last checkpoint is {folder / CHECKPOINT}, after {state.epoch} epochs and {state.step} steps"
