"""The time of a search step by part: plain steps, alternating with steps under torch's profiler."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from nas.core.profiler_spans import record_spans, span
from nas.data.augment import AugmentSettings
from nas.data.batches import Batch
from nas.data.dataset import Dataset
from nas.engine.device import autocast_dtype, wait
from nas.graph.space import Space
from nas.profiling.attribution import DATA, Seconds, SpanTime, attribute, make_rows
from nas.profiling.step_flops import StepCost, measure_peak, step_cost
from nas.runtime.gc import frozen_gc
from nas.runtime.progress import StatusLine
from nas.search.loop import endless, search_data
from nas.search.settings import SearchSettings
from nas.search.state import SearchState, init_search_state, weights_learning_rate
from nas.search.step_relaxation import step_inputs, step_relaxation
from nas.search.steps import alpha_step, weight_step


@dataclass(frozen=True)
class Profile:
    """The result of a profile. A step is an alpha step and a weight step with their batches; seconds are wall time."""

    rows: list[SpanTime]  # of the profiled steps; their seconds add up to ``profiled``
    steps: list[float]  # seconds of each step without the profiler
    profiled: float  # mean seconds of a step under the profiler
    data_share: float  # of a step without the profiler; on a GPU the larger of the wait and the GPU's work on data
    batch_size: int
    cost: StepCost
    peak: float  # FLOP per second

    @property
    def step(self) -> float:
        """The median seconds of a step without the profiler."""
        return statistics.median(self.steps)

    @property
    def speed(self) -> float:
        """The FLOP of convolutions and linear layers per second of a whole step without the profiler."""
        return 2 * self.cost.both * self.batch_size / self.step


class Stepper:
    """The steps of a search from its first epoch on: each call takes one and times its wait for the batches."""

    def __init__(self, state: SearchState, settings: SearchSettings, train: Iterator[Batch], valid: Iterator[Batch]):
        self.state, self.settings, self.train, self.valid = state, settings, train, valid
        self.lr = weights_learning_rate(settings, 0)
        self.device = next(state.supernet.parameters()).device
        self.waited = 0.0  # seconds of the last step

    def __call__(self) -> float:
        """Take one step, up to the end of the device's work, and return its seconds."""
        start = time.perf_counter()
        with span(DATA):
            train, valid = next(self.train), next(self.valid)
        self.waited = time.perf_counter() - start
        with record_function("alpha step"):
            alpha_step(self.state, self.settings, train, valid, self.lr)
        with record_function("weight step"):
            loss, logits = weight_step(self.state, self.settings, train, self.lr)
        self.state.metrics.add(loss, logits, train[1])
        self.state.step += 1  # the noise of a search method differs by step
        wait(self.device)
        return time.perf_counter() - start


def profile_search(
    space: Space,
    dataset: Dataset,
    settings: SearchSettings,
    *,
    augment: AugmentSettings,
    device: torch.device,
    steps: int,
    trace: Path | None = None,
) -> Profile:
    """Take ``steps`` steps of a search without the profiler and as many under it; write the trace of the last one.

    On a CPU the rows count CPU time. On a GPU they count the GPU time of kernels, and the row "other" includes the
    GPU's idle time.
    """
    line = StatusLine()
    line.show("profile: multiply-adds, and the device's peak")
    settings = replace(settings, cuda_graphs=False)  # a replayed graph has no parts that could be timed
    state = init_search_state(space, settings, dataset.num_classes, device, dataset.image_shape[0])
    data = search_data(dataset.to(device), settings, augment)
    relax = step_relaxation(state, step_inputs(state, settings, state.method.relaxation, "alphas"))
    cost = step_cost(state.supernet, dataset.image_shape, settings.order, relax)
    peak = measure_peak(device, autocast_dtype(settings.precision) or torch.float32)
    state.supernet.train()
    step = Stepper(state, settings, endless(data.train, 0), endless(data.alphas, 0))
    line.show("profile: warm-up")
    step()  # memory, choice of kernels, the epoch's order of images
    pairs = []
    with frozen_gc():
        for number in range(1, steps + 1):
            line.show(f"profile: step {number}/{steps}", last=number == steps)
            pairs.append(_step_pair(step, trace if number == steps else None))
    profiled = statistics.mean(pair.profiled for pair in pairs)
    rows = make_rows([pair.by_span for pair in pairs], space.operators, profiled)
    share = statistics.median(pair.waited / pair.plain for pair in pairs)
    if device.type == "cuda":
        share = max(share, next(row.seconds for row in rows if row.name == DATA) / profiled)
    return Profile(rows, [pair.plain for pair in pairs], profiled, share, data.train.images_per_step, cost, peak)


@dataclass(frozen=True)
class _StepPair:
    """Seconds of a plain step, of its wait for the batches, and of a step under the profiler, in all and by span."""

    plain: float
    waited: float
    profiled: float
    by_span: Seconds


def _step_pair(step: Stepper, trace: Path | None) -> _StepPair:
    """Take a step without the profiler and one under it, close together, so that other load slows both."""
    plain, waited = step(), step.waited
    on_device = step.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])]
    with record_spans() as spans, profile(activities=activities, acc_events=True) as profiler:
        profiled = step()
    if trace is not None:
        profiler.export_chrome_trace(str(trace))
    return _StepPair(plain, waited, profiled, attribute(profiler.events() or (), spans, on_device))
