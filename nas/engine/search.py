"""The search: alpha and weight steps by turns over the epochs, watched, checkpointed, continued where it stopped."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from nas.core.checkpoint import load_checkpoint, save_checkpoint
from nas.core.deadline import Deadline
from nas.core.metrics import Tally
from nas.core.progress import StatusLine
from nas.core.tracking import Tracker
from nas.data.augment import AugmentSettings
from nas.data.batches import Batches
from nas.data.dataset import Dataset
from nas.data.split import search_split
from nas.engine.bilevel import Batch
from nas.engine.evaluate import Evaluation, evaluate
from nas.engine.objective import size_objective
from nas.engine.pace import Pace
from nas.engine.search_record import EpochFigures, current_genotype, epoch_line, record_epoch
from nas.engine.search_state import SearchState, learning_rate, start_state
from nas.engine.settings import SearchSettings
from nas.engine.steps import alpha_step, weight_step
from nas.graph.genotype import Genotype
from nas.graph.space import Space

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class SearchResult:
    """Where a search stands at its end, or where it stopped because the time was up."""

    genotype: Genotype
    finished: bool
    epoch: int
    step: int
    seconds: float  # of all sittings
    valid_accuracy: float | None  # of the last epoch (0..1)


@dataclass(frozen=True)
class SearchData:
    """Batches of the weights' half, of the alphas' half, and of the latter once more, in order and unaugmented."""

    train: Batches
    alphas: Batches
    valid: Batches


@dataclass
class Sitting:
    """One sitting at a search: from its start, or from a checkpoint, to its end or to the deadline."""

    state: SearchState
    settings: SearchSettings
    data: SearchData
    dataset: str
    folder: Path
    tracker: Tracker
    deadline: Deadline
    pace: Pace
    line: StatusLine = field(default_factory=StatusLine)


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
) -> SearchResult:
    """Search ``space`` on the dataset's training images; the run's files go to ``folder``.

    Each epoch leaves a checkpoint, the current genotype, a row of metrics and TensorBoard's events. With ``resume``
    the search goes on from the folder's checkpoint. Where ``deadline`` comes first it stops with a checkpoint, in the
    middle of an epoch if need be. Every figure of a step depends on the settings and the data alone, so a search
    that was interrupted ends as one that was not (on a CPU bit for bit, given the same number of threads).
    """
    state = start_state(space, settings, dataset.num_classes, device)
    state.objective = size_objective(settings.objective, space, dataset.num_classes, dataset.image_shape, device)
    if resume and (folder / CHECKPOINT).exists():  # a kill in the first epoch leaves none: begin again
        state.load_dict(load_checkpoint(folder / CHECKPOINT), str(folder / CHECKPOINT))
    data = search_data(dataset.to(device), settings, augment)
    tracker = Tracker(folder, state.epoch)
    pace = Pace(len(data.train), settings.epochs, min(settings.batch_size, len(data.train.images)))
    sitting = Sitting(state, settings, data, dataset.name, folder, tracker, deadline or Deadline(None), pace)
    try:
        finished = all(_epoch(sitting) for _ in range(state.epoch, settings.epochs))
        if not finished:
            _checkpoint(sitting)
    finally:
        tracker.close()
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


def _epoch(sitting: Sitting) -> bool:
    """Finish the epoch that the state is in; False where the deadline came first."""
    state, settings = sitting.state, sitting.settings
    if not _steps(sitting):
        return False
    sitting.deadline.pause()
    valid = _evaluate(sitting)
    if valid is None:
        return False
    train = state.tally.read()
    rate = sitting.pace.images_per_second or None  # None: this sitting made none of the epoch's steps
    state.seconds += sitting.pace.take()
    figures = EpochFigures(
        state.epoch, *train, valid.loss, valid.top1, learning_rate(settings, state.epoch), rate, state.seconds
    )
    state.valid_accuracy = figures.valid_accuracy
    state.epoch, state.step, state.tally = state.epoch + 1, 0, Tally(state.tally.sums.device)
    sitting.line.show(epoch_line(figures, settings.epochs), last=True)
    record_epoch(sitting.tracker, sitting.folder, state, settings, sitting.dataset, figures)
    _checkpoint(sitting)
    sitting.pace.end_epoch()
    return True


def _steps(sitting: Sitting) -> bool:
    """The epoch's remaining steps; False where the deadline came first."""
    state, settings, pace = sitting.state, sitting.settings, sitting.pace
    lr = learning_rate(settings, state.epoch)
    valid_batches = endless(sitting.data.alphas, state.epoch * len(sitting.data.train) + state.step)
    state.supernet.train()
    pace.start_epoch(state.step)
    for train in sitting.data.train.epoch(state.epoch, state.step):
        if sitting.deadline.reached():
            return False
        alpha_step(state, settings, train, next(valid_batches), lr)
        loss, logits = weight_step(state, settings, train, lr)
        state.tally.add(loss, logits, train[1])
        state.step += 1
        if sitting.line.due():
            sitting.line.show(pace.step_line(state.epoch, state.step, *state.tally.read(), lr))
    pace.end_steps(state.step)
    return True


def endless(batches: Batches, position: int) -> Iterator[Batch]:
    """The batches from ``position`` on, counted over all epochs."""
    epoch, step = divmod(position, len(batches))
    while True:
        yield from batches.epoch(epoch, step)
        epoch, step = epoch + 1, 0


def _evaluate(sitting: Sitting) -> Evaluation | None:
    """The figures of the alphas' half, with running BatchNorm statistics; None at the deadline."""
    supernet, precision = sitting.state.supernet, sitting.settings.precision
    found = evaluate(
        supernet, sitting.data.valid, supernet.classifier.out_features, precision=precision, deadline=sitting.deadline
    )
    sitting.deadline.pause()
    return found


def _checkpoint(sitting: Sitting) -> None:
    sitting.state.seconds += sitting.pace.take()
    save_checkpoint(sitting.folder / CHECKPOINT, sitting.state.to_dict())
