"""Whose time it was: torch's profiler's events, divided among the spans in which they began."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.autograd import DeviceType  # type: ignore[attr-defined]  # not in its __all__

from nas.core.profiler_spans import Spans

BACKWARD = "autograd::engine::evaluate_function"  # so the profiler's events of autograd's nodes begin
DATA, OPTIMISER, OTHER = "data", "optimiser", "other"

Seconds = dict[tuple[str, bool], float]  # by the span's name, and whether it was in the backward pass


@dataclass(frozen=True)
class SpanTime:
    """Seconds of a step that belong to ``name``; ``forward`` and ``backward`` are None for what is neither."""

    name: str
    forward: float | None
    backward: float | None
    seconds: float


def attribute(events: Iterable[Any], spans: Spans, on_device: bool) -> Seconds:
    """The seconds of each span, forward and backward.

    An event's own time, without that of the events inside it, belongs to the innermost span around it; in a backward
    pass, where there is none, to the span whose forward made the node that autograd evaluates. ``on_device``: count
    the GPU's time in the kernels that an event started, and not the CPU's. What belongs to no span is left out.
    """
    found: Seconds = defaultdict(float)
    for event in events:
        if event.device_type != DeviceType.CPU:
            continue  # a GPU's work is counted with what started it
        owner = _owner(event, spans)
        if owner is not None:
            microseconds = event.self_device_time_total if on_device else event.self_cpu_time_total
            found[owner] += microseconds / 1e6
    return dict(found)


def make_rows(found: Sequence[Seconds], operators: Iterable[str], step: float) -> list[SpanTime]:
    """A step's mean seconds by name, the longest first; each of ``operators`` has a row.

    ``found``: of each step. ``step``: the whole seconds of one, in the mean. The optimiser, the data and what is
    nobody's stand last, and all rows add up to ``step``.
    """
    total: Seconds = defaultdict(float)
    for of_step in found:
        for owner, seconds in of_step.items():
            total[owner] += seconds / len(found)
    names = dict.fromkeys([*operators, *(name for name, _ in total)])
    rows = [_row(name, total) for name in names if name not in (DATA, OPTIMISER)]
    rows.sort(key=lambda row: -row.seconds)
    apart = [SpanTime(name, None, None, total[name, False]) for name in (OPTIMISER, DATA)]
    rest = step - sum(row.seconds for row in [*rows, *apart])
    return [*rows, *apart, SpanTime(OTHER, None, None, rest)]


def _row(name: str, total: Seconds) -> SpanTime:
    forward, backward = total[name, False], total[name, True]
    return SpanTime(name, forward, backward, forward + backward)


def _owner(event: Any, spans: Spans) -> tuple[str, bool] | None:
    entered = None  # a node of several operators enters spans in the backward pass, too
    while event is not None:
        if entered is None and event.is_user_annotation and event.name in spans.names:
            entered = event.name
        if event.name.startswith(BACKWARD):
            owner = entered or spans.maker(event.sequence_nr)
            return None if owner is None else (owner, True)
        event = event.cpu_parent
    return None if entered is None else (entered, False)
