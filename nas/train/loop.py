"""Retraining: a genotype's network from scratch, watched, checkpointed, continued where it stopped."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.run_files import BEST, GENOTYPE
from nas.data.augment import AugmentSettings
from nas.data.batches import Batches
from nas.data.dataset import Dataset
from nas.engine.compile import compiled
from nas.engine.evaluate import Evaluation, evaluate
from nas.engine.fault_tolerance import Safety
from nas.engine.loop import NOTHING_SAVED, Sitting, load_newest
from nas.engine.nonfinite import check_saved
from nas.engine.throughput import Pace
from nas.engine.timed_batches import until
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype
from nas.runtime.deadline import Deadline
from nas.runtime.metrics_log import Tracker
from nas.storage.checkpoint import save_checkpoint
from nas.train.epoch_log import EpochFigures, epoch_line, record_epoch
from nas.train.network_spec import draw_up
from nas.train.schedule import drop_path_probability, learning_rate
from nas.train.settings import TrainSettings
from nas.train.state import TrainState, start_training
from nas.train.step import Outputs, train_step


@dataclass(frozen=True)
class Training:
    """What the epochs of a retraining work with."""

    state: TrainState
    settings: TrainSettings
    train: Batches
    test: Batches
    forward: Callable[[Tensor], Outputs]
    sitting: Sitting


def train(
    genotype: Genotype,
    dataset: Dataset,
    settings: TrainSettings,
    folder: Path,
    *,
    augment: AugmentSettings,
    device: torch.device,
    deadline: Deadline | None = None,
    resume: bool = False,
    ops: str | None = None,
    safety: Safety | None = None,
) -> TrainState:
    """Train the genotype's network on the dataset's training images; the run's files go to ``folder``.

    Each epoch leaves a checkpoint, a row of metrics and TensorBoard's events. With ``resume`` the training goes on
    from the folder's newest whole checkpoint, if it got that far. Where ``deadline`` comes first it stops with a
    checkpoint, in the middle of an epoch if need be: it is finished when the state's epoch is ``settings.epochs``.
    ``safety``: see :mod:`nas.engine.loop`, also for the :class:`DivergedError` that this raises. Every figure of a
    step depends on the settings and the data alone, so a training that was interrupted ends as one that was not (on a
    CPU bit for bit, given the same number of threads). ``ops`` goes into the checkpoints, see
    :class:`nas.train.network_spec.Blueprint`.
    """
    state = start_training(draw_up(genotype, dataset, settings, ops), settings, device)
    saved = load_newest(state, folder) if resume else NOTHING_SAVED
    train, test = train_data(dataset.to(device), settings, augment)
    save_genotype(genotype, folder / GENOTYPE)
    pace = Pace(len(train), settings.epochs, min(settings.batch_size, len(train.images)))
    sitting = Sitting(
        state, folder, safety or Safety(), deadline or Deadline(None), pace, Tracker(folder, state.epoch), saved
    )
    forward = compiled(state.model) if settings.compile else state.model
    sitting.run(partial(_epoch, Training(state, settings, train, test, forward, sitting)), settings.epochs)
    return state


def train_data(dataset: Dataset, settings: TrainSettings, augment: AugmentSettings) -> tuple[Batches, Batches]:
    """All training images, shuffled and augmented, and all test images as they are, on the dataset's device."""
    if len(dataset.train) < 2:
        raise InputError(f"{len(dataset.train)} training image: at least 2 are needed, BatchNorm compares images")
    batches = partial(Batches, mean=dataset.mean, std=dataset.std, seed=settings.seed)
    train = batches(dataset.train, settings.batch_size, stream="train", augment=augment)
    return train, batches(dataset.test, 2 * settings.batch_size, stream="test", shuffle=False)


def _epoch(training: Training) -> bool:
    """Finish the epoch that the state is in; False where the deadline came first."""
    state, settings, sitting = training.state, training.settings, training.sitting
    if not _steps(training):
        return False
    sitting.deadline.pause()
    test = None
    if (state.epoch + 1) % settings.eval_every == 0 or state.epoch + 1 == settings.epochs:
        test = _evaluate(training)
        if test is None:
            return False
        _keep(state, test, sitting.folder)
    figures = _figures(training, test)
    sitting.next_epoch()
    sitting.line.show(epoch_line(figures, settings.epochs), last=True)
    record_epoch(sitting.tracker, figures)
    sitting.checkpoint()
    sitting.pace.end_epoch()
    return True


def _figures(training: Training, test: Evaluation | None) -> EpochFigures:
    state, settings, pace = training.state, training.settings, training.sitting.pace
    state.seconds += pace.take()
    loss, accuracy = state.tally.read()
    return EpochFigures(
        epoch=state.epoch,
        train_loss=loss,
        train_accuracy=accuracy,
        test_loss=None if test is None else test.loss,
        test_accuracy=None if test is None else test.top1,
        lr=learning_rate(settings, state.epoch, pace.steps - 1, pace.steps) * state.mishaps.lr_factor,
        drop_path=drop_path_probability(settings, state.epoch),
        images_per_second=pace.images_per_second or None,  # None: this sitting made none of the epoch's steps
        seconds=state.seconds,
        skipped=state.mishaps.skipped,
    )


def _steps(training: Training) -> bool:
    """The epoch's remaining steps; False where the deadline came first."""
    state, settings, sitting = training.state, training.settings, training.sitting
    steps = len(training.train)
    state.model.train()
    sitting.pace.start_epoch(state.step)
    batches = training.train.epoch(state.epoch, state.step)
    for batch in until(sitting.deadline, batches, steps - state.step):
        lr = learning_rate(settings, state.epoch, state.step, steps) * state.mishaps.lr_factor
        sitting.step(partial(train_step, state, settings, batch, lr, training.forward), batch[1])
        if sitting.line.due():
            figures = (*state.tally.read(), lr, state.mishaps)
            sitting.line.show(sitting.pace.step_line(state.epoch, state.step, *figures))
    if state.step < steps:
        return False
    sitting.pace.end_steps(state.step)
    return True


def _evaluate(training: Training) -> Evaluation | None:
    """The test figures of the network that is judged; None at the deadline."""
    settings, deadline = training.settings, training.sitting.deadline
    found = evaluate(
        training.state.judged,
        training.test,
        len(training.state.blueprint.classes),
        precision=settings.precision,
        channels_last=settings.channels_last,
        deadline=deadline,
    )
    deadline.pause()
    return found


def _keep(state: TrainState, test: Evaluation, folder: Path) -> None:
    """Take an epoch's test figures over into the state, and its network into a file where it is the best so far."""
    check_saved(state.trained_dict())
    state.test_loss, state.test_accuracy = test.loss, test.top1
    if state.best_accuracy is None or test.top1 > state.best_accuracy:
        state.best_accuracy, state.best_epoch = test.top1, state.epoch
        figures = {"epoch": state.epoch, "test_accuracy": test.top1}
        save_checkpoint(folder / BEST, {**state.trained_dict(), **figures})
