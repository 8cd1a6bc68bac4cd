"""Named spans of the work: nothing while nobody records them, else what a profile divides a step into.

    with span("stem"):
        x = stem(x)

What a span made on autograd's tape belongs to it in the backward pass, too: autograd numbers the nodes of its tape in
the order in which they are made, so a span that notes the number at its begin and at its end knows its own.
"""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch.profiler import record_function

NOTHING = nullcontext()

_recorded: "Spans | None" = None


def span(name: str) -> AbstractContextManager[None]:
    """What runs inside belongs to ``name``, or to an inner span."""
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
    """The spans entered while they were recorded."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._open: list[str | None] = [None]
        self._numbers: list[int] = []  # of autograd's nodes, ascending: from each on ...
        self._makers: list[str | None] = []  # ... they were made in this span

    @contextmanager
    def enter(self, name: str) -> Iterator[None]:
        """See :func:`span`."""
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
        """The innermost span in which autograd made its node of this number; None outside of all."""
        index = bisect_right(self._numbers, number) - 1
        return self._makers[index] if index >= 0 else None

    def _note(self) -> None:
        self._numbers.append(torch.autograd._get_sequence_nr())  # type: ignore[attr-defined]  # not in its __all__
        self._makers.append(self._open[-1])
