"""Named spans of code for the profiler; they cost nothing unless a profile is being recorded.

    with span("stem"):
        x = stem(x)

The backward pass is attributed too: autograd numbers its nodes in the order of their creation, so a span that records
the number at its start and at its end knows which nodes were created inside it.
"""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch.profiler import record_function

NOTHING = nullcontext()

_recorded: "Spans | None" = None


def span(name: str) -> AbstractContextManager[None]:
    """Return a context that attributes its block to ``name``, except for what inner spans claim."""
    return NOTHING if _recorded is None else _recorded.enter(name)


@contextmanager
def record_spans() -> Iterator["Spans"]:
    """Record the spans that this thread enters; they also appear in torch's profiler under their names."""
    global _recorded
    before, _recorded = _recorded, Spans()
    try:
        yield _recorded
    finally:
        _recorded = before


class Spans:
    """Spans entered during :func:`record_spans`, and the autograd nodes created in each."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._open: list[str | None] = [None]
        self._numbers: list[int] = []  # sequence numbers of autograd nodes, ascending: from each one on ...
        self._makers: list[str | None] = []  # ... nodes were created in this span

    @contextmanager
    def enter(self, name: str) -> Iterator[None]:
        """Attribute the block to ``name``; see :func:`span`."""
        self.names.add(name)
        self._open.append(name)
        self._note()
        try:
            with record_function(name):
                yield
        finally:
            self._open.pop()
            self._note()

    def maker(self, number: int) -> str | None:
        """Return the innermost span that created the autograd node with this sequence number; None if none did."""
        index = bisect_right(self._numbers, number) - 1
        return self._makers[index] if index >= 0 else None

    def _note(self) -> None:
        self._numbers.append(torch.autograd._get_sequence_nr())  # type: ignore[attr-defined]  # not in its __all__
        self._makers.append(self._open[-1])
