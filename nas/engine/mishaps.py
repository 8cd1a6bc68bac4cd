"""What went wrong in a run so far, as far as its course depends on it: part of the state, and of its checkpoints."""

from dataclasses import dataclass

MAX_SKIPPED = 20  # steps in a row
MAX_ROLLBACKS = 5  # in a run


@dataclass
class Mishaps:
    """Steps left out because their numbers were not finite, and returns to an earlier checkpoint."""

    skipped: int = 0  # steps of this epoch
    in_a_row: int = 0  # the last so many steps
    rollbacks: int = 0  # of the whole run

    @property
    def lr_factor(self) -> float:
        """By what the weights' learning rate is multiplied: each return halves it for the rest of the run."""
        return 0.5**self.rollbacks

    def __str__(self) -> str:
        """What a status line says of them, a separator in front; nothing where nothing went wrong."""
        skipped = f" | skipped steps: {self.skipped}" if self.skipped else ""
        return skipped + (f" | rollbacks: {self.rollbacks}" if self.rollbacks else "")
