"""Results and progress of a part of the campaign."""

import sys
import time
from dataclasses import dataclass, field


@dataclass
class Part:
    """One part: the number of cases tried, and for each failure what happened and the seed that repeats it."""

    name: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def fail(self, failure: str) -> None:
        """Record a failure, and print it at once."""
        self.failures.append(failure)
        print(f"FAILED {self.name}: {failure}", file=sys.stderr, flush=True)

    def count(self, note: str) -> None:
        """Count a case that ended as ``note`` says."""
        self.notes[note] = self.notes.get(note, 0) + 1


class Clock:
    """Prints the progress of a part and the time left, every ten seconds."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total = name, total
        self.start = self.printed = time.monotonic()

    def show(self, done: int, failures: int) -> None:
        """Print that ``done`` of the total are done, unless a line was printed just before."""
        now = time.monotonic()
        if now - self.printed < 10 and done < self.total:
            return
        self.printed = now
        left = (now - self.start) / max(done, 1) * max(self.total - done, 0)
        line = f"{self.name}: {done}/{self.total}, {failures} failures, {left / 60:.1f} min left"
        print(line, file=sys.stderr, flush=True)
