"""Attribution of the profiler's events to the spans in which they started."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.autograd import DeviceType  # type: ignore[attr-defined]  # not in its __all__

from nas.core.profiler_spans import Spans

BACKWARD = "autograd::engine::evaluate_function"  # prefix of the profiler's events for nodes of the autograd graph
DATA = "data"
_OPTIMIZER, _OTHER = "optimizer", "other"

Seconds = dict[tuple[str, bool], float]  # by the span's name, and whether in the backward pass


@dataclass(frozen=True)
class SpanTime:
    """Seconds of a step attributed to ``name``; ``forward`` and ``backward`` are None if it is neither."""

    name: str
    forward: float | None
    backward: float | None
    seconds: float


def attribute(events: Iterable[Any], spans: Spans, on_device: bool) -> Seconds:
    """Return the seconds of each span, forward and backward.

    An event's self time, without nested events, is attributed to the innermost span around it, or, in a backward pass
    without one, to the span whose forward pass created the autograd node. ``on_device``: count the GPU time of the
    kernels that an event launched instead of CPU time. Events outside of all spans are left out.
    """
    by_span: Seconds = defaultdict(float)
    for event in events:
        if event.device_type != DeviceType.CPU:
            continue  # kernels on the GPU are counted with the event that launched them
        owner = _owner(event, spans)
        if owner is not None:
            microseconds = event.self_device_time_total if on_device else event.self_cpu_time_total
            by_span[owner] += microseconds / 1e6
    return dict(by_span)


def make_rows(steps: Sequence[Seconds], operators: Iterable[str], step_seconds: float) -> list[SpanTime]:
    """Return the mean seconds per step by name, the longest first; each of ``operators`` has a row.

    ``steps``: what :func:`attribute` returned for each step. ``step_seconds``: the mean duration of a whole step. The
    last rows are the optimizer, the data, and the time attributed to no span; all rows add up to ``step_seconds``.
    """
    mean: Seconds = defaultdict(float)
    for by_span in steps:
        for owner, seconds in by_span.items():
            mean[owner] += seconds / len(steps)
    names = dict.fromkeys([*operators, *(name for name, _ in mean)])
    rows = [_row(name, mean) for name in names if name not in (DATA, _OPTIMIZER)]
    rows.sort(key=lambda row: -row.seconds)
    rows += [SpanTime(name, None, None, mean[name, False]) for name in (_OPTIMIZER, DATA)]
    rest = step_seconds - sum(row.seconds for row in rows)
    return [*rows, SpanTime(_OTHER, None, None, rest)]


def _row(name: str, mean: Seconds) -> SpanTime:
    forward, backward = mean[name, False], mean[name, True]
    return SpanTime(name, forward, backward, forward + backward)


def _owner(event: Any, spans: Spans) -> tuple[str, bool] | None:
    entered = None  # nodes that compute several operators enter spans in the backward pass, too
    while event is not None:
        if entered is None and event.is_user_annotation and event.name in spans.names:
            entered = event.name
        if event.name.startswith(BACKWARD):
            owner = entered or spans.maker(event.sequence_nr)
            return None if owner is None else (owner, True)
        event = event.cpu_parent
    return None if entered is None else (entered, False)
