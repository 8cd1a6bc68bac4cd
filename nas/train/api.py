"""Training and evaluation from Python."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from nas.core.errors import InputError
from nas.core.run_files import METRICS
from nas.core.run_names import run_name
from nas.core.terminal import print_lines
from nas.costs.cpu_bf16 import require_bf16_gradients
from nas.costs.memory_limit import require_memory
from nas.data.augment import AugmentSettings
from nas.data.batches import Batches
from nas.data.dataset import Dataset
from nas.data.intake import as_dataset
from nas.engine.device import choose_device
from nas.engine.evaluate import Evaluation, evaluate_batches, finite_or_diverged
from nas.engine.named_losses import NAMED_LOSSES, check_data, check_labels, check_names, named_metric
from nas.engine.python_run import RunOptions, python_run, read_augment, split_settings
from nas.engine.user_functions import Loss, Metric, checked_loss, recorded_loss, split_functions
from nas.graph.genotype import Genotype
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import load_genotype
from nas.models.network import Network
from nas.runtime.deadline import Deadline
from nas.runtime.metrics_log import read_metrics
from nas.train.loop import run_training_loop
from nas.train.network_spec import check_test_images, make_network_spec
from nas.train.result import write_train_result
from nas.train.settings import TrainSettings
from nas.train.state import TrainState
from nas.train.trained_model import TrainedModel, load_model


@dataclass(frozen=True)
class TrainingResult:
    """The state of a training at its end, or when it was stopped.

    ``model`` maps prepared images (B, C, H, W) to logits (B, classes) and is in evaluation mode; the files of the run
    are in ``folder``. ``epoch`` epochs were done in ``seconds`` over all sessions. ``test_loss``, ``test_accuracy``
    (0..1) and ``test_metric`` are those of the last evaluation, None without test images or without a metric.
    ``best_accuracy`` was chosen on the test images and is better than what new images would give.
    """

    model: TrainedModel = field(repr=False)
    folder: Path
    finished: bool
    epoch: int
    seconds: float
    test_loss: float | None
    test_accuracy: float | None
    test_metric: float | None
    best_accuracy: float | None


def run_training(
    cell: Genotype | Network | str,
    data: object,
    *,
    folder: str | Path | None = None,
    augment: AugmentSettings | Mapping[str, Any] | None = None,
    loss: Loss | str | None = None,
    metric: Metric | str | None = None,
    verbose: bool = True,
    **settings: Any,
) -> TrainingResult:
    """Train a network on ``data``: ``nas.run_training(genotype, (train, test), epochs=100, channels=16, cells=8)``.

    ``cell`` is a genotype, or what ``nas.load_genotype`` takes, whose network is built and trained from scratch; or a
    ``nas.Network``, a copy of which is trained from its present weights. ``data`` is a name, a ``nas.Dataset``, a torch
    ``Dataset`` of (image, label), (images, labels) as tensors (N, C, H, W), uint8 or float, and (N,), or (train, test)
    of these. Without test images nothing is evaluated. Images are normalized by the training images' mean and
    deviation, and not augmented unless ``augment`` says so (``AugmentSettings``).

    ``settings`` are the fields of ``TrainSettings``, the paper's values by default (``epochs=600``, ``channels=36``,
    ``cells=20``, …), and of ``RunOptions`` (``resume``, ``device``, ``max_minutes``, …). ``loss(logits, labels)``
    replaces the cross-entropy, or names another loss: ``"bce"``, ``"mse"``, ``"l1"``, ``"smooth_l1"``;
    ``metric(logits, labels)``, or a name, is a number that is shown and recorded for the test images.
    ``folder`` None is a new one under ``runs/``. Ctrl-C stops after the step and a checkpoint. Raises
    :class:`InputError`, and :class:`DivergedError` if numbers are not finite.
    """
    dataset = as_dataset(data, verbose=verbose)
    settings, loss, metric = split_functions(settings, loss, metric)
    if isinstance(cell, Network):
        settings = _settings_of(cell, dataset, settings)
    chosen, options = split_settings(settings, TrainSettings)
    if loss is not None and chosen.label_smoothing:
        raise InputError(
            f"label_smoothing={chosen.label_smoothing}: is for the cross-entropy, not for a loss of one's own"
        )
    return _train(cell, dataset, chosen, options, folder, read_augment(augment), loss, metric, verbose)


def _settings_of(network: Network, dataset: Dataset, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``given`` with the sizes of ``network``; raise :class:`InputError` if it does not fit them or the data."""
    sizes = {"channels": network.sizes.channels, "cells": network.sizes.cells, "stem": network.sizes.stem}
    for name, value in sizes.items():
        if given.get(name, value) != value:
            raise InputError(f"{name}={given[name]!r}: the network has {name}={value!r}; leave it out")
    for name, own, theirs in (
        ("in_chans", network.sizes.in_chans, dataset.image_shape[0]),
        ("num_classes", network.num_classes, dataset.num_classes),
    ):
        if own != theirs:
            raise InputError(f"{name}={own}: of the network; data={dataset.name} needs {theirs}")
    if network.auxiliary_head is None:
        if given.get("auxiliary_weight"):
            raise InputError("auxiliary_weight: the network has no auxiliary head; build it with auxiliary=True")
        sizes["auxiliary_weight"] = 0.0
    elif given.get("auxiliary_weight") == 0:
        raise InputError("auxiliary_weight=0: the network has an auxiliary head; must be above 0")
    return {**given, **sizes}


def _train(
    cell: Genotype | Network | str,
    dataset: Dataset,
    settings: TrainSettings,
    options: RunOptions,
    folder: str | Path | None,
    augment: AugmentSettings | None,
    loss: Loss | None,
    metric: Metric | None,
    verbose: bool,
) -> TrainingResult:
    device = choose_device(options.device)
    genotype = cell.genotype if isinstance(cell, Network) else load_genotype(cell) if isinstance(cell, str) else cell
    _check(dataset, settings, augment, loss)
    spec = make_network_spec(genotype, dataset, settings)
    model = require_memory(spec.build, device, f"channels={settings.channels}, cells={settings.cells}")
    require_bf16_gradients(model, device, settings.precision, dataset.image_shape, settings.stem)
    names = {"function": "run_training", "genotype": format_tuple_notation(genotype), "data": dataset.name}
    own = {"augment": augment and asdict(augment), "loss": recorded_loss(settings.loss, loss)}
    title = run_name(f"retrain-{genotype.name or 'cell'}", dataset.name, settings.seed)
    with python_run(title, folder, options.resume, {**names, **asdict(settings), **own}) as run:
        if verbose:
            print_lines(f"training {genotype.name or 'a cell'} on {dataset.name} on {device}; run folder: {run.folder}")
        state = run_training_loop(
            genotype,
            dataset,
            settings,
            run.folder,
            augment=augment,
            device=device,
            deadline=Deadline(options.max_minutes, asked=run.interrupt.asked),
            resume=run.resumed,
            fault_tolerance=options,
            loss=loss and checked_loss(loss),
            metric=metric,
            initial=cell.state_dict() if isinstance(cell, Network) else None,
            verbose=verbose,
        )
        run.stop_if_interrupted(state.epoch == settings.epochs)
        return _result(state, settings, run.folder)


def _check(dataset: Dataset, settings: TrainSettings, augment: AugmentSettings | None, loss: Loss | None) -> None:
    """Raise :class:`InputError` before any work starts if data and settings do not fit."""
    if augment is not None:
        augment.check_fits(*dataset.image_shape[1:])
    check_data(dataset, None if loss else settings.loss)


def _result(state: TrainState, settings: TrainSettings, folder: Path) -> TrainingResult:
    """Write the files of a finished training and return its result."""
    finished = state.epoch == settings.epochs
    if finished:
        write_train_result(state, folder, settings.seed)
    measured = [row["test_metric"] for row in read_metrics(folder / METRICS) if row.get("test_metric") is not None]
    return TrainingResult(
        TrainedModel(state.eval_model, state.spec).eval(),
        folder,
        finished,
        state.epoch,
        state.seconds,
        state.test_loss,
        state.test_accuracy,
        measured[-1] if measured else None,
        state.best_accuracy,
    )


def evaluate(
    model: TrainedModel | TrainingResult | str | Path,
    data: object,
    *,
    batch_size: int = 192,
    device: str = "auto",
    loss: Loss | str | None = None,
    metric: Metric | str | None = None,
    verbose: bool = True,
) -> Evaluation:
    """Evaluate a trained network: ``nas.evaluate("runs/NAME", (images, labels)).top1``.

    ``model`` is what ``nas.load_model`` or ``nas.run_training`` returned, or a run folder or file. ``data`` is as in
    ``nas.run_training``; its test images are evaluated, or all of them if there is one part only. They are normalized
    as in the training; images (C, H, W), dtype and classes must be those of the training. ``loss(logits, labels)``,
    or a name, replaces that of the training, ``metric(logits, labels)`` is a number computed from all images. The
    result has ``loss``, ``top1``, ``top5`` (0..1), ``metric``, and per class ``images`` and ``correct``. Raises
    :class:`InputError`.
    """
    if isinstance(model, TrainingResult):
        model = model.model
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    classes = None if isinstance(data, Dataset | str) else trained.classes  # a dataset's own must be the same
    dataset = as_dataset(data, classes=classes, verbose=verbose)
    dataset = dataset if dataset.test is not None else replace(dataset, test=dataset.train)
    check_test_images(trained.spec, dataset, Path("model" if isinstance(model, TrainedModel) else model))
    named, own_loss, own_metric = split_functions({}, loss, metric)
    name, measured = named.get("loss", trained.spec.loss), named.get("metric")
    check_names(name, measured, None, "uniform")
    if own_loss is None:
        check_labels(name, dataset)
    own = NAMED_LOSSES[name].compute if own_loss is None else checked_loss(own_loss)
    how = (choose_device(device), own, own_metric or named_metric(name, measured))
    return _evaluate(trained, dataset, batch_size, *how)


def _evaluate(
    trained: TrainedModel, dataset: Dataset, batch_size: int, device: torch.device, loss: Loss, metric: Metric | None
) -> Evaluation:
    """Evaluate on ``device``, and leave the network on its own device and in its mode."""
    assert dataset.test is not None
    spec, home, training = trained.spec, next(trained.parameters()).device, trained.training
    images = dataset.test.to(device)
    batches = Batches(images, batch_size, mean=spec.mean, std=spec.std, seed=0, stream="test", shuffle=False)
    try:
        with finite_or_diverged("model"):
            return evaluate_batches(trained.to(device), batches, len(spec.classes), loss=loss, metric=metric)
    finally:
        trained.to(home).train(training)
