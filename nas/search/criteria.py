"""The loss and the metric of a search: the user's own, or those that its settings name."""

import torch
import torch.nn.functional as F

from nas.core.errors import InputError
from nas.data.dataset import Dataset
from nas.data.loaders import LoaderPair
from nas.engine.named_losses import CLASSES, NAMED_LOSSES, check_labels, named_metric, training_loss_of
from nas.engine.user_functions import Loss, Metric
from nas.search.settings import SearchSettings
from nas.search.state import SearchState


def set_search_criteria(
    state: SearchState,
    settings: SearchSettings,
    dataset: Dataset | LoaderPair,
    loss: Loss | None,
    metric: Metric | None,
    device: torch.device,
) -> None:
    """Give the search its loss and metric; raise :class:`InputError` if they do not fit the labels or the method.

    Classes are not weighted in the evaluation.
    """
    if loss is None:
        check_labels(settings.loss, dataset)
        state.valid_loss = NAMED_LOSSES[settings.loss].compute
        state.loss = training_loss_of(settings.loss, settings.class_weights, dataset, device) or F.cross_entropy
    else:
        state.loss = loss
    state.metric = metric or named_metric(settings.loss, settings.metric)
    has_targets = isinstance(dataset, Dataset) and dataset.has_targets
    method = state.method
    if (NAMED_LOSSES[settings.loss].labels != CLASSES or has_targets) and (method.select or method.judged):
        raise InputError(
            f"method={method.name}: compares accuracies, which need one class for an image; not with targets"
        )
