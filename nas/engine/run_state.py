"""The state of a run between two steps, and its return to a checkpoint."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from nas.core.formatting import format_plural
from nas.core.run_files import CHECKPOINT
from nas.engine.fingerprint import FINGERPRINT_GROUPS, check_fingerprint
from nas.engine.nonfinite import NonFiniteCounts
from nas.engine.running_metrics import RunningMetrics
from nas.storage.checkpoint import load_checkpoint
from nas.storage.checkpoint_retention import newest_valid_checkpoint, promote_checkpoint

NO_CHECKPOINT = "there is no checkpoint yet"


class RunState(Protocol):
    """All that a run's steps change: ``step`` steps of epoch ``epoch`` are done, in ``seconds`` over all sessions."""

    epoch: int
    step: int
    seconds: float
    metrics: RunningMetrics
    nonfinite: NonFiniteCounts

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """What the run's bits depend on now; part of each checkpoint."""

    def to_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""

    def load_dict(self, saved: dict[str, Any], where: str) -> None:
        """Restore what :meth:`to_dict` returned."""

    def snapshot(self) -> Callable[[], None]:
        """Return a function that undoes what a step changes before the weights' optimizer moves them."""


def load_newest(state: RunState, folder: Path, accepted: Collection[str] = FINGERPRINT_GROUPS) -> str:
    """Restore ``state`` from the newest valid checkpoint in ``folder``, if there is any; say where it is.

    Newer ones that are damaged are set aside, with a warning. Raises :class:`InputError` if none is valid, for a
    checkpoint of another run, and for one with another fingerprint in groups that are not ``accepted``.
    """
    chosen = newest_valid_checkpoint(folder / CHECKPOINT)
    if chosen is None:  # killed before the first one
        return NO_CHECKPOINT
    saved = load_checkpoint(chosen)
    if set(accepted) != set(FINGERPRINT_GROUPS):
        check_fingerprint(saved.get("fingerprint"), state.fingerprint, f"resume={folder}", accepted)
    state.load_dict(saved, str(chosen))
    promote_checkpoint(chosen, folder / CHECKPOINT)
    return last_checkpoint(state, folder)


def last_checkpoint(state: RunState, folder: Path) -> str:
    """Say where the state's last checkpoint is."""
    done = f"{format_plural(state.epoch, 'epoch')} and {format_plural(state.step, 'step')}"
    return f"the last checkpoint is {folder / CHECKPOINT}, after {done}"
