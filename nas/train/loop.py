"""The training of a genotype's network, from scratch, as a task of the loop."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.errors import InputError
from nas.core.run_files import BEST, GENOTYPE
from nas.core.terminal import print_warning
from nas.data.augment import AugmentSettings
from nas.data.batches import Batch, Batches
from nas.data.dataset import Dataset
from nas.data.halves import require_two_classes, warn_missing_classes
from nas.engine.compile import compile_network
from nas.engine.epoch_summary import EpochNotes, EpochSummary
from nas.engine.evaluate import Evaluation, evaluate_batches
from nas.engine.fault_tolerance import FaultTolerance
from nas.engine.fingerprint import run_fingerprint
from nas.engine.loop import run_loop
from nas.engine.nonfinite import check_state_finite
from nas.engine.run_result import STOPPED, recorded_end, write_result
from nas.engine.user_functions import Loss, Metric
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype
from nas.runtime.deadline import Deadline
from nas.runtime.metrics_log import MetricsLog
from nas.storage.checkpoint import save_checkpoint
from nas.train.criteria import is_better, set_training_criteria
from nas.train.network_spec import make_network_spec
from nas.train.result import train_figures, train_origin
from nas.train.schedule import drop_path_probability, learning_rate
from nas.train.settings import TrainSettings
from nas.train.state import TrainState, init_train_state
from nas.train.step import train_step


def run_training_loop(
    genotype: Genotype,
    dataset: Dataset,
    settings: TrainSettings,
    folder: Path,
    *,
    augment: AugmentSettings | None,
    device: torch.device,
    deadline: Deadline | None = None,
    resume: bool = False,
    ops: str | None = None,
    fault_tolerance: FaultTolerance | None = None,
    loss: Loss | None = None,
    metric: Metric | None = None,
    initial: Mapping[str, Tensor] | None = None,
    verbose: bool = True,
) -> TrainState:
    """Train the genotype's network on the dataset's training images; the run's files go to ``folder``.

    Each epoch leaves a checkpoint, a row of metrics and TensorBoard events. With ``resume`` the training continues
    from the folder's newest valid checkpoint, if there is one. If ``deadline`` comes first it stops with a checkpoint,
    within an epoch if need be: it is finished when the state's epoch is ``settings.epochs``. ``fault_tolerance``: see
    :mod:`nas.engine.loop`, also for the :class:`DivergedError` that this raises. Every step depends on the settings
    and the data alone, so an interrupted training ends as an uninterrupted one (on a CPU bit for bit, given the same
    number of threads). ``ops`` goes into the checkpoints, see :class:`nas.train.network_spec.NetworkSpec`. ``loss``
    replaces that of the settings, ``initial`` the random initial weights; ``metric`` is recorded for the test images.
    """
    spec = make_network_spec(genotype, dataset, settings, ops)
    spec = replace(spec, fingerprint=run_fingerprint(dataset, augment, genotype.operators()))
    state = init_train_state(spec, settings, device, initial)
    set_training_criteria(state, settings, dataset, loss, metric, device)
    train, test = train_data(dataset.to(device), settings, augment)
    save_genotype(genotype, folder / GENOTYPE)
    task = TrainTask(state, settings, train, test, folder)
    source = train_origin(state, settings.seed)
    with recorded_end(folder, source):
        how = partial(run_loop, deadline=deadline, fault_tolerance=fault_tolerance, resume=resume, verbose=verbose)
        if not how(task, folder):
            write_result(folder, STOPPED, source, train_figures(state))
    return state


def train_data(
    dataset: Dataset, settings: TrainSettings, augment: AugmentSettings | None
) -> tuple[Batches, Batches | None]:
    """Return all training images, shuffled and augmented, and all test images as they are, on the dataset's device.

    The latter are None if the dataset has no test images.
    """
    if len(dataset.train) < 2:
        raise InputError(f"{len(dataset.train)} training image: at least 2 are needed, BatchNorm compares images")
    require_two_classes(dataset, f"data={dataset.name}")
    warn_missing_classes(dataset.train.labels, dataset.classes, "the training set")
    if dataset.valid is not None:
        print_warning(
            f"{len(dataset.valid)} validation images are for the alphas of a search; a training leaves them out"
        )
    batches = partial(Batches, mean=dataset.mean, std=dataset.std, seed=settings.seed, sampling=settings.sampling)
    train = batches(dataset.train, settings.batch_size, stream="train", augment=augment)
    if dataset.test is None:
        return train, None
    return train, batches(dataset.test, 2 * settings.batch_size, stream="test", shuffle=False)


class TrainTask:
    """The steps of a training, its evaluation on the test set, and the best network so far."""

    stopped = False

    def __init__(
        self, state: TrainState, settings: TrainSettings, train: Batches, test: Batches | None, folder: Path
    ) -> None:
        self.state, self.settings, self.train, self.test, self.folder = state, settings, train, test, folder
        self.model = state.model
        self.forward = compile_network(state.model) if settings.compile else state.model
        self.epochs, self.steps = settings.epochs, len(train)
        self.batch_size = train.images_per_step
        state.test_images = None if test is None else len(test.images)

    def batches(self, epoch: int, step: int) -> Iterator[Batch]:
        """Yield the training batches of ``epoch`` from ``step`` on."""
        return self.train.epoch(epoch, step)

    def learning_rate(self, epoch: int, step: int) -> float:
        """Return the learning rate of a step, see :mod:`nas.train.schedule`."""
        return learning_rate(self.settings, epoch, step, self.steps)

    def step(self, batch: Batch, lr: float) -> tuple[Tensor, Tensor, Tensor]:
        """Move the weights."""
        loss, logits = train_step(self.state, self.settings, batch, lr, self.forward)
        return loss, logits, batch[1]

    def evaluate(self, deadline: Deadline) -> dict[str, float | None]:
        """Evaluate every ``eval_every`` epochs and after the last; keep the network in a file if it is the best.

        Nothing is evaluated if there are no test images.
        """
        state, epoch, settings = self.state, self.state.epoch, self.settings
        figures: dict[str, float | None] = {"drop_path": drop_path_probability(settings, epoch)}
        due = (epoch + 1) % settings.eval_every == 0 or epoch + 1 == settings.epochs
        if self.test is None or not due:
            return {"test_loss": None, "test_accuracy": None, **figures}
        test = evaluate_batches(
            state.eval_model,
            self.test,
            len(state.spec.classes),
            precision=settings.precision,
            channels_last=settings.channels_last,
            deadline=deadline,
            loss=state.test_loss_of or state.loss or F.cross_entropy,
            metric=state.metric,
        )
        self._keep_best(test)
        figures |= {} if test.metric is None else {"test_metric": test.metric}
        return {"test_loss": test.loss, "test_accuracy": test.top1, **figures}

    def record(self, epoch: EpochSummary, log: MetricsLog, folder: Path) -> EpochNotes:
        """Write the epoch's curves and row."""
        log.scalars(epoch.epoch, epoch.curves())
        log.row(epoch.row())
        return EpochNotes()

    def _keep_best(self, test: Evaluation) -> None:
        state = self.state
        check_state_finite(state.trained_dict())
        state.test_loss, state.test_accuracy, state.test_metric = test.loss, test.top1, test.metric
        if not is_better(test, state, self.settings):
            return
        state.best_accuracy, state.best_metric, state.best_epoch = test.top1, test.metric, state.epoch
        measured = {} if test.metric is None else {"test_metric": test.metric}
        figures = {"epoch": state.epoch + 1, "test_accuracy": test.top1, **measured}
        save_checkpoint(self.folder / BEST, {**state.trained_dict(), **figures})
