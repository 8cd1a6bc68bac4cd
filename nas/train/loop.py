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
from nas.engine.compile import compile_network
from nas.engine.evaluate import Evaluation, evaluate
from nas.engine.fault_tolerance import FaultTolerance
from nas.engine.loop import NOTHING_SAVED, Sitting, load_newest
from nas.engine.nonfinite import check_state_finite
from nas.engine.throughput import Throughput
from nas.engine.timed_batches import until
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype
from nas.runtime.deadline import Deadline
from nas.runtime.metrics_log import MetricsLog
from nas.storage.checkpoint import save_checkpoint
from nas.train.epoch_log import TrainEpoch, log_train_epoch, train_epoch_line
from nas.train.network_spec import make_network_spec
from nas.train.schedule import drop_path_probability, learning_rate
from nas.train.settings import TrainSettings
from nas.train.state import TrainState, init_train_state
from nas.train.step import Outputs, train_step


@dataclass(frozen=True)
class Training:
    """What the epochs of a retraining work with."""

    state: TrainState
    settings: TrainSettings
    train: Batches
    test: Batches
    forward: Callable[[Tensor], Outputs]
    loop: Sitting


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
    fault_tolerance: FaultTolerance | None = None,
) -> TrainState:
    """Train the genotype's network on the dataset's training images; the run's files go to ``folder``.

    Each epoch leaves a checkpoint, a row of metrics and TensorBoard's events. With ``resume`` the training goes on
    from the folder's newest whole checkpoint, if it got that far. Where ``deadline`` comes first it stops with a
    checkpoint, in the middle of an epoch if need be: it is finished when the state's epoch is ``settings.epochs``.
    ``fault_tolerance``: see :mod:`nas.engine.loop`, also for the :class:`DivergedError` that this raises. Every figure
    of a step depends on the settings and the data alone, so a training that was interrupted ends as one that was not
    (on a CPU bit for bit, given the same number of threads). ``ops`` goes into the checkpoints, see
    :class:`nas.train.network_spec.NetworkSpec`.
    """
    state = init_train_state(make_network_spec(genotype, dataset, settings, ops), settings, device)
    saved = load_newest(state, folder) if resume else NOTHING_SAVED
    train, test = train_data(dataset.to(device), settings, augment)
    save_genotype(genotype, folder / GENOTYPE)
    throughput = Throughput(len(train), settings.epochs, min(settings.batch_size, len(train.images)))
    loop = Sitting(
        state,
        folder,
        fault_tolerance or FaultTolerance(),
        deadline or Deadline(None),
        throughput,
        MetricsLog(folder, state.epoch),
        saved,
    )
    forward = compile_network(state.model) if settings.compile else state.model
    loop.run(partial(_epoch, Training(state, settings, train, test, forward, loop)), settings.epochs)
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
    state, settings, loop = training.state, training.settings, training.loop
    if not _steps(training):
        return False
    loop.deadline.pause()
    test = None
    if (state.epoch + 1) % settings.eval_every == 0 or state.epoch + 1 == settings.epochs:
        test = _evaluate(training)
        if test is None:
            return False
        _keep(state, test, loop.folder)
    figures = _figures(training, test)
    loop.next_epoch()
    loop.line.show(train_epoch_line(figures, settings.epochs), last=True)
    log_train_epoch(loop.tracker, figures)
    loop.checkpoint()
    loop.throughput.end_epoch()
    return True


def _figures(training: Training, test: Evaluation | None) -> TrainEpoch:
    state, settings, throughput = training.state, training.settings, training.loop.throughput
    state.seconds += throughput.take()
    loss, accuracy = state.metrics.read()
    return TrainEpoch(
        epoch=state.epoch,
        train_loss=loss,
        train_accuracy=accuracy,
        test_loss=None if test is None else test.loss,
        test_accuracy=None if test is None else test.top1,
        lr=learning_rate(settings, state.epoch, throughput.steps - 1, throughput.steps) * state.nonfinite.lr_factor,
        drop_path=drop_path_probability(settings, state.epoch),
        images_per_second=throughput.images_per_second or None,  # None: this sitting made none of the epoch's steps
        seconds=state.seconds,
        skipped=state.nonfinite.skipped,
    )


def _steps(training: Training) -> bool:
    """The epoch's remaining steps; False where the deadline came first."""
    state, settings, loop = training.state, training.settings, training.loop
    steps = len(training.train)
    state.model.train()
    loop.throughput.start_epoch(state.step)
    batches = training.train.epoch(state.epoch, state.step)
    for batch in until(loop.deadline, batches, steps - state.step):
        lr = learning_rate(settings, state.epoch, state.step, steps) * state.nonfinite.lr_factor
        loop.step(partial(train_step, state, settings, batch, lr, training.forward), batch[1])
        if loop.line.due():
            figures = (*state.metrics.read(), lr, state.nonfinite)
            loop.line.show(loop.throughput.step_line(state.epoch, state.step, *figures))
    if state.step < steps:
        return False
    loop.throughput.end_steps(state.step)
    return True


def _evaluate(training: Training) -> Evaluation | None:
    """The test figures of the network that is judged; None at the deadline."""
    settings, deadline = training.settings, training.loop.deadline
    found = evaluate(
        training.state.eval_model,
        training.test,
        len(training.state.spec.classes),
        precision=settings.precision,
        channels_last=settings.channels_last,
        deadline=deadline,
    )
    deadline.pause()
    return found


def _keep(state: TrainState, test: Evaluation, folder: Path) -> None:
    """Take an epoch's test figures over into the state, and its network into a file where it is the best so far."""
    check_state_finite(state.trained_dict())
    state.test_loss, state.test_accuracy = test.loss, test.top1
    if state.best_accuracy is None or test.top1 > state.best_accuracy:
        state.best_accuracy, state.best_epoch = test.top1, state.epoch
        figures = {"epoch": state.epoch, "test_accuracy": test.top1}
        save_checkpoint(folder / BEST, {**state.trained_dict(), **figures})
