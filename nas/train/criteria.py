"""The loss and the metric of a training, and by what its best network is chosen."""

import torch

from nas.data.dataset import Dataset
from nas.engine.evaluate import Evaluation
from nas.engine.named_losses import (
    NAMED_LOSSES,
    NAMED_METRICS,
    check_labels,
    metric_name,
    named_metric,
    training_loss_of,
)
from nas.engine.user_functions import Loss, Metric
from nas.train.settings import TrainSettings
from nas.train.state import TrainState


def set_training_criteria(
    state: TrainState,
    settings: TrainSettings,
    dataset: Dataset,
    loss: Loss | None,
    metric: Metric | None,
    device: torch.device,
) -> None:
    """Give the training its loss and metric: the user's own, or those that the settings name.

    Classes are not weighted in the evaluation. Raises :class:`InputError` if they do not fit the labels.
    """
    state.loss, state.metric = loss, metric or named_metric(settings.loss, settings.metric)
    if loss is None:
        check_labels(settings.loss, dataset)
        state.loss = training_loss_of(settings.loss, settings.class_weights, dataset, device)
        state.test_loss_of = NAMED_LOSSES[settings.loss].compute


def is_better(test: Evaluation, state: TrainState, settings: TrainSettings) -> bool:
    """Return whether ``test`` is better than the best evaluation so far.

    It is by accuracy, or with targets by the metric that the settings name; the user's own metric is not compared.
    """
    if state.best_epoch is None:
        return True
    if test.top1 is not None:
        return state.best_accuracy is None or test.top1 > state.best_accuracy
    name = metric_name(settings.loss, settings.metric)
    if name is None or test.metric is None or state.best_metric is None:
        return True  # nothing is known to compare: the last one
    return test.metric > state.best_metric if NAMED_METRICS[name].ascending else test.metric < state.best_metric
