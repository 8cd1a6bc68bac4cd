"""The search: alpha and weight steps by turns over the epochs, watched, checkpointed, continued where it stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from nas.costs.expected import size_objective
from nas.data.augment import AugmentSettings
from nas.data.batches import Batch, Batches
from nas.data.dataset import Dataset
from nas.data.split import search_split
from nas.engine.evaluate import Evaluation, evaluate
from nas.engine.fault_tolerance import FaultTolerance
from nas.engine.loop import NOTHING_SAVED, Sitting, load_newest
from nas.engine.throughput import Throughput
from nas.engine.timed_batches import until
from nas.graph.space import Space
from nas.runtime.deadline import Deadline
from nas.runtime.metrics_log import MetricsLog
from nas.search.epoch_log import SearchEpoch, current_genotype, log_search_epoch, search_epoch_line
from nas.search.result import SearchResult
from nas.search.settings import SearchSettings
from nas.search.state import SearchState, init_search_state, weights_learning_rate
from nas.search.steps import alpha_step, weight_step


@dataclass(frozen=True)
class SearchData:
    """Batches of the weights' half, of the alphas' half, and of the latter once more, in order and unaugmented."""

    train: Batches
    alphas: Batches
    valid: Batches


@dataclass(frozen=True)
class Search:
    """What the epochs of a search work with."""

    state: SearchState
    settings: SearchSettings
    data: SearchData
    dataset: str
    loop: Sitting


def search(
    space: Space,
    dataset: Dataset,
    settings: SearchSettings,
    folder: Path,
    *,
    augment: AugmentSettings,
    device: torch.device,
    deadline: Deadline | None = None,
    resume: bool = False,
    fault_tolerance: FaultTolerance | None = None,
) -> SearchResult:
    """Search ``space`` on the dataset's training images; the run's files go to ``folder``.

    Each epoch leaves a checkpoint, the current genotype, a row of metrics and TensorBoard's events. With ``resume``
    the search goes on from the folder's newest whole checkpoint. Where ``deadline`` comes first it stops with a
    checkpoint, in the middle of an epoch if need be. ``fault_tolerance``: see :mod:`nas.engine.loop`, also for the
    :class:`DivergedError` that this raises. Every figure of a step depends on the settings and the data alone, so a
    search that was interrupted ends as one that was not (on a CPU bit for bit, given the same number of threads).
    """
    state = init_search_state(space, settings, dataset.num_classes, device)
    state.objective = size_objective(settings.objective, space, dataset.num_classes, dataset.image_shape, device)
    saved = load_newest(state, folder) if resume else NOTHING_SAVED
    data = search_data(dataset.to(device), settings, augment)
    throughput = Throughput(len(data.train), settings.epochs, min(settings.batch_size, len(data.train.images)))
    loop = Sitting(
        state,
        folder,
        fault_tolerance or FaultTolerance(),
        deadline or Deadline(None),
        throughput,
        MetricsLog(folder, state.epoch),
        saved,
    )
    finished = loop.run(partial(_epoch, Search(state, settings, data, dataset.name, loop)), settings.epochs)
    genotype = current_genotype(state, settings, dataset.name)
    return SearchResult(genotype, finished, state.epoch, state.step, state.seconds, state.valid_accuracy)


def search_data(dataset: Dataset, settings: SearchSettings, augment: AugmentSettings) -> SearchData:
    """The training images in two parts (DARTS, §3.1), as batches on the dataset's device."""
    mine, theirs = search_split(len(dataset.train), settings.seed, settings.train_fraction)
    halves = {"train": dataset.train.subset(mine), "alphas": dataset.train.subset(theirs)}
    batches = partial(Batches, mean=dataset.mean, std=dataset.std, seed=settings.seed)
    train = batches(halves["train"], settings.batch_size, stream="train", augment=augment)
    alphas = batches(halves["alphas"], settings.batch_size, stream="alphas", augment=augment)
    valid = batches(halves["alphas"], 2 * settings.batch_size, stream="valid", shuffle=False)
    return SearchData(train, alphas, valid)


def _epoch(run: Search) -> bool:
    """Finish the epoch that the state is in; False where the deadline came first."""
    state, settings, loop = run.state, run.settings, run.loop
    if not _steps(run):
        return False
    loop.deadline.pause()
    valid = _evaluate(run)
    if valid is None:
        return False
    train = state.metrics.read()
    rate = loop.throughput.images_per_second or None  # None: this sitting made none of the epoch's steps
    state.seconds += loop.throughput.take()
    lr, skipped = weights_learning_rate(settings, state.epoch) * state.nonfinite.lr_factor, state.nonfinite.skipped
    figures = SearchEpoch(state.epoch, *train, valid.loss, valid.top1, lr, rate, state.seconds, skipped)
    state.valid_accuracy = figures.valid_accuracy
    loop.next_epoch()
    loop.line.show(search_epoch_line(figures, settings.epochs), last=True)
    degenerate = log_search_epoch(loop.tracker, loop.folder, state, settings, run.dataset, figures)
    if degenerate:
        loop.line.show(degenerate, last=True)
    loop.checkpoint()
    loop.throughput.end_epoch()
    return True


def _steps(run: Search) -> bool:
    """The epoch's remaining steps; False where the deadline came first."""
    state, settings, loop, data = run.state, run.settings, run.loop, run.data
    lr = weights_learning_rate(settings, state.epoch) * state.nonfinite.lr_factor
    valid_batches = endless(data.alphas, state.epoch * len(data.train) + state.step)
    state.supernet.train()
    loop.throughput.start_epoch(state.step)
    batches = data.train.epoch(state.epoch, state.step)
    for train in until(loop.deadline, batches, len(data.train) - state.step):
        loop.step(partial(_step, state, settings, train, next(valid_batches), lr), train[1])
        if loop.line.due():
            figures = (*state.metrics.read(), lr, state.nonfinite)
            loop.line.show(loop.throughput.step_line(state.epoch, state.step, *figures))
    if state.step < len(data.train):
        return False
    loop.throughput.end_steps(state.step)
    return True


def _step(state: SearchState, settings: SearchSettings, train: Batch, valid: Batch, lr: float) -> tuple[Tensor, Tensor]:
    alpha_step(state, settings, train, valid, lr)
    return weight_step(state, settings, train, lr)


def endless(batches: Batches, position: int) -> Iterator[Batch]:
    """The batches from ``position`` on, counted over all epochs."""
    epoch, step = divmod(position, len(batches))
    while True:
        yield from batches.epoch(epoch, step)
        epoch, step = epoch + 1, 0


def _evaluate(run: Search) -> Evaluation | None:
    """The figures of the alphas' half, with running BatchNorm statistics; None at the deadline."""
    supernet, deadline = run.state.supernet, run.loop.deadline
    classes, precision = supernet.classifier.out_features, run.settings.precision
    found = evaluate(supernet, run.data.valid, classes, precision=precision, deadline=deadline)
    deadline.pause()
    return found
