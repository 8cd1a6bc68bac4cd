"""The search as a task of the loop: an alpha step and a weight step per batch (DARTS, arXiv 1806.09055, alg. 1)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.formatting import format_plural
from nas.core.seeding import derive_seed
from nas.core.terminal import print_warning
from nas.costs.expected import size_objective
from nas.data.augment import AugmentSettings
from nas.data.batches import Batch, Batches, BatchSource
from nas.data.dataset import Dataset
from nas.data.halves import require_two_classes, search_halves, split_fingerprint
from nas.data.loaders import LoaderPair
from nas.engine.epoch_summary import EpochNotes, EpochSummary
from nas.engine.evaluate import evaluate_batches
from nas.engine.fault_tolerance import FaultTolerance
from nas.engine.fingerprint import run_fingerprint
from nas.engine.loop import run_loop
from nas.engine.run_result import STOPPED, recorded_end, write_result
from nas.engine.user_functions import Loss, Metric
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.runtime.deadline import Deadline
from nas.runtime.metrics_log import MetricsLog
from nas.search.criteria import set_search_criteria
from nas.search.epoch_log import current_genotype, log_search_epoch, write_judged_cells
from nas.search.method import SearchView
from nas.search.methods import method_files, method_names
from nas.search.result import SearchResult, found_figures, search_origin
from nas.search.settings import SearchSettings
from nas.search.settled import read_settledness
from nas.search.state import SearchState, init_search_state, weights_learning_rate
from nas.search.steps import alpha_step, weight_step
from nas.search.validation import AlphaHalf


@dataclass(frozen=True)
class SearchData:
    """Batches of the weights' half and of the alphas' half; the latter also unaugmented and in order, as ``valid``."""

    train: BatchSource
    alphas: BatchSource
    valid: BatchSource


def run_search_loop(
    space: Space,
    dataset: Dataset | LoaderPair,
    settings: SearchSettings,
    folder: Path,
    *,
    augment: AugmentSettings | None,
    device: torch.device,
    deadline: Deadline | None = None,
    resume: bool = False,
    fault_tolerance: FaultTolerance | None = None,
    loss: Loss | None = None,
    metric: Metric | None = None,
    verbose: bool = True,
) -> SearchResult:
    """Search ``space`` on the dataset's training images; the run's files go to ``folder``.

    Each epoch leaves a checkpoint, the current genotype, a row of metrics and TensorBoard events. With ``resume`` the
    search continues from the folder's newest valid checkpoint. If ``deadline`` comes first it stops with a
    checkpoint, within an epoch if need be. ``fault_tolerance``: see :mod:`nas.engine.loop`, also for the
    :class:`DivergedError` that this raises. Every step depends on the settings and the data alone, so an interrupted
    search ends as an uninterrupted one (on a CPU bit for bit, given the same number of threads), unless the data are
    two DataLoaders. ``loss`` replaces that of the settings; ``metric`` is recorded for the alphas' half.
    """
    state = init_search_state(space, settings, dataset.num_classes, device, dataset.image_shape[0])
    files = method_files(settings.method)
    for name in settings.methods.keys() - set(method_names(settings.method)):
        print_warning(f"methods.{name}: has no effect with method={settings.method}")
    split = split_fingerprint(dataset, settings.seed, settings.train_fraction)
    state.fingerprint = run_fingerprint(dataset, augment, space.operators, space, files) | split
    set_search_criteria(state, settings, dataset, loss, metric, device)
    classes, shape, rule = dataset.num_classes, dataset.image_shape, state.method.edge_rule
    state.objective = size_objective(settings.objective, space, classes, shape, device, rule)
    task = SearchTask(state, settings, search_data(dataset.to(device), settings, augment), dataset.name)
    how = partial(run_loop, deadline=deadline, fault_tolerance=fault_tolerance, resume=resume, verbose=verbose)
    source = search_origin(space.name, settings.method, dataset.name, settings.seed)
    with recorded_end(folder, source):
        finished = how(task, folder)
    result = _search_result(task, finished, folder, dataset)
    return result if finished else _record_stop(result, source)


def _record_stop(result: SearchResult, source: Mapping[str, Any]) -> SearchResult:
    write_result(result.folder, STOPPED, source, found_figures(result))
    return result


def _search_result(task: "SearchTask", finished: bool, folder: Path, dataset: Dataset | LoaderPair) -> SearchResult:
    state, genotype = task.state, task.genotype()
    figures = (state.epoch, state.step, state.seconds, state.valid_accuracy)
    sizes = (dataset.image_shape, dataset.num_classes)
    settledness = read_settledness(folder, genotype, state.supernet.space)
    return SearchResult(genotype, finished, *figures, folder, state.supernet, *sizes, settledness)


def search_data(dataset: Dataset | LoaderPair, settings: SearchSettings, augment: AugmentSettings | None) -> SearchData:
    """Split the training images into two parts (DARTS, §3.1), as batches on the dataset's device."""
    require_two_classes(dataset, f"data={dataset.name}")
    if isinstance(dataset, LoaderPair):
        return SearchData(dataset.weights, dataset.alphas, dataset.alphas)
    for_weights, for_alphas = search_halves(dataset, settings.seed, settings.train_fraction, verbose=True)
    batches = partial(Batches, mean=dataset.mean, std=dataset.std, seed=settings.seed, sampling=settings.sampling)
    train = batches(for_weights, settings.batch_size, stream="train", augment=augment)
    alphas = batches(for_alphas, settings.batch_size, stream="alphas", augment=augment)
    valid = batches(for_alphas, 2 * settings.batch_size, stream="valid", shuffle=False)
    return SearchData(train, alphas, valid)


def endless(batches: BatchSource, position: int) -> Iterator[Batch]:
    """Yield batches from ``position`` on, counted over all epochs, without end."""
    epoch, step = divmod(position, len(batches))
    while True:
        yield from batches.epoch(epoch, step)
        epoch, step = epoch + 1, 0


class SearchTask:
    """The alternating steps of a search, the evaluation on the alphas' half, and the record of an epoch."""

    def __init__(self, state: SearchState, settings: SearchSettings, data: SearchData, dataset: str) -> None:
        self.state, self.settings, self.data, self.dataset = state, settings, data, dataset
        self.model = state.supernet
        self.epochs, self.steps = settings.epochs, len(data.train)
        self.batch_size = data.train.images_per_step

    def batches(self, epoch: int, step: int) -> Iterator[tuple[Batch, Batch]]:
        """Yield pairs of a batch for the weights and one for the alphas; first come the method's events."""
        self._set_edge_value(epoch)
        if self.state.events_of != epoch:  # an interrupted run may come here twice
            for event in self.state.method.on_epoch:
                event(self.view())
            self.state.events_of = epoch
        return zip(
            self.data.train.epoch(epoch, step), endless(self.data.alphas, epoch * self.steps + step), strict=False
        )

    def view(self) -> SearchView:
        """Return the search between two epochs as its method's events and selection see it."""
        state = self.state
        how = (self._last_alpha_batch, self.settings.precision, state.loss)
        half = AlphaHalf(state.supernet, state.parts, self.data.valid, *how)
        return SearchView(
            supernet=state.supernet,
            memory=state.memory,
            epoch=state.epoch,
            epochs=self.epochs,
            validation=half,
            restart_weights=state.restart_weights,
            redraw_weights=lambda number: state.redraw_weights(derive_seed(self.settings.seed, "weights", number)),
            valid_accuracy=state.valid_accuracy,
            seed=self.settings.seed,
        )

    def genotype(self) -> Genotype:
        """Return the genotype that the method derives now."""
        return current_genotype(self.state, self.settings, self.dataset, self.view())

    def _last_alpha_batch(self) -> Batch:
        done = self.state.epoch * self.steps
        if not done:
            raise InputError("the last batch of an alpha step: no step was taken yet")
        return next(endless(self.data.alphas, done - 1))

    def _set_edge_value(self, epoch: int) -> None:
        schedule, value = self.state.method.edge_rule.schedule, self.model.edge_value
        if schedule is not None and value is not None:
            value.fill_(schedule(epoch, self.epochs))

    @property
    def stopped(self) -> bool:
        """Whether the method has ended the search before its last epoch."""
        return self.state.stopped

    def learning_rate(self, epoch: int, step: int) -> float:
        """Return the weights' learning rate, which is the same for all steps of an epoch."""
        return weights_learning_rate(self.settings, epoch, self.state.method)

    def step(self, batch: tuple[Batch, Batch], lr: float) -> tuple[Tensor, Tensor, Tensor]:
        """Move the alphas, then the weights."""
        train, valid = batch
        if not self.state.method.alphas_rest(self.state.epoch, self.settings.epochs):
            alpha_step(self.state, self.settings, train, valid, lr)
        loss, logits = weight_step(self.state, self.settings, train, lr, valid)
        return loss, logits, train[1]

    def evaluate(self, deadline: Deadline) -> dict[str, float | None]:
        """Evaluate the supernet on the alphas' half, with running BatchNorm statistics."""
        classes, precision = self.model.classifier.out_features, self.settings.precision
        valid = evaluate_batches(
            self.model,
            self.data.valid,
            classes,
            precision=precision,
            deadline=deadline,
            loss=self.state.loss if self.state.valid_loss is None else self.state.valid_loss,
            metric=self.state.metric,
        )
        self.state.valid_accuracy = valid.top1
        measured = {} if valid.metric is None else {"valid_metric": valid.metric}
        return {"valid_loss": valid.loss, "valid_accuracy": valid.top1, **measured}

    def record(self, epoch: EpochSummary, log: MetricsLog, folder: Path) -> EpochNotes:
        """Write the epoch's genotype, alphas, row and pictures; return how settled the cells are, for the console."""
        stop, state = self.state.method.stop, self.state
        notes = log_search_epoch(log, folder, state, self.settings, self.genotype(), epoch)
        if state.method.judged is not None:
            write_judged_cells(folder, state.method.judged(self.view()))
        state.stopped = stop is not None and stop(self.view())
        ended = (
            [f"method={state.method.name} ends the search after {format_plural(state.epoch, 'epoch')}"]
            if state.stopped
            else []
        )
        return EpochNotes(notes.parts, [*notes.lines, *ended])
