"""Retraining: a genotype's network from scratch, watched, checkpointed, continued where it stopped."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from nas.core.checkpoint import load_checkpoint, save_checkpoint
from nas.core.deadline import Deadline
from nas.core.errors import InputError
from nas.core.metrics import Tally
from nas.core.progress import StatusLine
from nas.core.tracking import Tracker
from nas.data.augment import AugmentSettings
from nas.data.batches import Batches
from nas.data.dataset import Dataset
from nas.engine.blueprint import draw_up
from nas.engine.compiled import compiled
from nas.engine.evaluate import Evaluation, evaluate
from nas.engine.pace import Pace
from nas.engine.schedule import drop_path_probability, learning_rate
from nas.engine.train_record import EpochFigures, epoch_line, record_epoch
from nas.engine.train_settings import TrainSettings
from nas.engine.train_state import TrainState, start_training
from nas.engine.train_step import Outputs, train_step
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"  # of all evaluated epochs; chosen on the test set


@dataclass
class Training:
    """One sitting at a retraining: from its start, or from a checkpoint, to its end or to the deadline."""

    state: TrainState
    settings: TrainSettings
    train: Batches
    test: Batches
    forward: Callable[[torch.Tensor], Outputs]
    folder: Path
    tracker: Tracker
    deadline: Deadline
    pace: Pace
    line: StatusLine = field(default_factory=StatusLine)


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
) -> TrainState:
    """Train the genotype's network on the dataset's training images; the run's files go to ``folder``.

    Each epoch leaves a checkpoint, a row of metrics and TensorBoard's events. With ``resume`` the training goes on
    from the folder's checkpoint, if it got that far. Where ``deadline`` comes first it stops with a checkpoint, in the
    middle of an epoch if need be: it is finished when the state's epoch is ``settings.epochs``. Every figure of a step
    depends on the settings and the data alone, so a training that was interrupted ends as one that was not (on a CPU
    bit for bit, given the same number of threads). ``ops`` goes into the checkpoints, see
    :class:`nas.engine.blueprint.Blueprint`.
    """
    state = start_training(draw_up(genotype, dataset, settings, ops), settings, device)
    if resume and (folder / CHECKPOINT).exists():  # a kill in the first epoch leaves none: begin again
        state.load_dict(load_checkpoint(folder / CHECKPOINT), str(folder / CHECKPOINT))
    train, test = train_data(dataset.to(device), settings, augment)
    save_genotype(genotype, folder / "genotype.yaml")
    tracker = Tracker(folder, state.epoch)
    pace = Pace(len(train), settings.epochs, min(settings.batch_size, len(train.images)))
    forward = compiled(state.model) if settings.compile else state.model
    training = Training(state, settings, train, test, forward, folder, tracker, deadline or Deadline(None), pace)
    try:
        if not all(_epoch(training) for _ in range(state.epoch, settings.epochs)):
            _checkpoint(training)
    finally:
        tracker.close()
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
    state, settings = training.state, training.settings
    if not _steps(training):
        return False
    training.deadline.pause()
    loss, accuracy = state.tally.read()
    if not math.isfinite(loss):
        raise InputError(f"the loss became {loss} in epoch {state.epoch + 1}: a lower weights.lr or a warm-up may help")
    test = None
    if (state.epoch + 1) % settings.eval_every == 0 or state.epoch + 1 == settings.epochs:
        test = _evaluate(training)
        if test is None:
            return False
        _keep(state, test, training.folder)
    figures = _figures(training, loss, accuracy, test)
    state.epoch, state.step, state.tally = state.epoch + 1, 0, Tally(state.tally.sums.device)
    training.line.show(epoch_line(figures, settings.epochs), last=True)
    record_epoch(training.tracker, figures)
    _checkpoint(training)
    training.pace.end_epoch()
    return True


def _figures(training: Training, loss: float, accuracy: float, test: Evaluation | None) -> EpochFigures:
    state, settings, pace = training.state, training.settings, training.pace
    state.seconds += pace.take()
    return EpochFigures(
        epoch=state.epoch,
        train_loss=loss,
        train_accuracy=accuracy,
        test_loss=None if test is None else test.loss,
        test_accuracy=None if test is None else test.top1,
        lr=learning_rate(settings, state.epoch, pace.steps - 1, pace.steps),
        drop_path=drop_path_probability(settings, state.epoch),
        images_per_second=pace.images_per_second or None,  # None: this sitting made none of the epoch's steps
        seconds=state.seconds,
    )


def _steps(training: Training) -> bool:
    """The epoch's remaining steps; False where the deadline came first."""
    state, settings, pace = training.state, training.settings, training.pace
    state.model.train()
    pace.start_epoch(state.step)
    for batch in training.train.epoch(state.epoch, state.step):
        if training.deadline.reached():
            return False
        lr = learning_rate(settings, state.epoch, state.step, pace.steps)
        loss, logits = train_step(state, settings, batch, lr, training.forward)
        state.tally.add(loss, logits, batch[1])
        state.step += 1
        if training.line.due():
            training.line.show(pace.step_line(state.epoch, state.step, *state.tally.read(), lr))
    pace.end_steps(state.step)
    return True


def _evaluate(training: Training) -> Evaluation | None:
    """The test figures of the network that is judged; None at the deadline."""
    settings = training.settings
    found = evaluate(
        training.state.judged,
        training.test,
        len(training.state.blueprint.classes),
        precision=settings.precision,
        channels_last=settings.channels_last,
        deadline=training.deadline,
    )
    training.deadline.pause()
    return found


def _keep(state: TrainState, test: Evaluation, folder: Path) -> None:
    """Take an epoch's test figures over into the state, and its network into a file where it is the best so far."""
    state.test_loss, state.test_accuracy = test.loss, test.top1
    if state.best_accuracy is None or test.top1 > state.best_accuracy:
        state.best_accuracy, state.best_epoch = test.top1, state.epoch
        figures = {"epoch": state.epoch, "test_accuracy": test.top1}
        save_checkpoint(folder / BEST, {**state.trained_dict(), **figures})


def _checkpoint(training: Training) -> None:
    training.state.seconds += training.pace.take()
    save_checkpoint(training.folder / CHECKPOINT, training.state.to_dict())
