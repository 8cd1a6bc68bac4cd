"""One training step (DARTS, arXiv 1806.09055, §A.2.1)."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.core.seeding import derive_seed
from nas.data.batches import Batch
from nas.engine.device import autocast_dtype
from nas.engine.nonfinite import NotFiniteError, checked_grad_norm
from nas.engine.user_functions import Loss
from nas.train.schedule import drop_path_probability
from nas.train.settings import TrainSettings
from nas.train.state import TrainState

Outputs = Tensor | tuple[Tensor, Tensor | None]


def train_step(
    state: TrainState, settings: TrainSettings, batch: Batch, lr: float, forward: Callable[[Tensor], Outputs]
) -> tuple[Tensor, Tensor]:
    """Move the weights against the gradient of the loss; return that loss and the logits (B, classes).

    ``forward`` is the state's model, or its compiled form. The step's randomness (drop-path) is seeded by its epoch
    and number: a resumed training draws what an uninterrupted one draws.

    Raises :class:`NotFiniteError` if a number is not finite; weights, average and optimizer are then unchanged.
    """
    images, labels = batch
    if settings.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    dtype = autocast_dtype(settings.precision)
    state.model.drop_path = drop_path_probability(settings, state.epoch)
    torch.manual_seed(derive_seed(settings.seed, "drop_path", state.epoch, state.step))
    with torch.autocast(images.device.type, dtype, enabled=dtype is not None):
        outputs = forward(images)
    logits, loss = training_loss(outputs, labels, settings, state.loss)
    loss.backward()  # type: ignore[no-untyped-call]
    try:
        norm = checked_grad_norm(
            loss, {name: w.grad for name, w in state.model.named_parameters() if w.grad is not None}
        )
    except NotFiniteError:
        state.optimizer.zero_grad()
        raise
    torch.nn.utils.clip_grads_with_norm_(state.model.parameters(), settings.weights.clip_norm, norm)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.optimizer.step()
    state.optimizer.zero_grad()
    if state.average is not None:
        state.average.update_parameters(state.model)
    return loss.detach(), logits.detach()


def training_loss(
    outputs: Outputs, labels: Tensor, settings: TrainSettings, own: Loss | None = None
) -> tuple[Tensor, Tensor]:
    """Return the logits (B, classes) in float32 and the loss that is minimized.

    Cross-entropy, smoothed by ``label_smoothing`` (arXiv 1512.00567, §7), or the user's ``own`` loss, and
    ``auxiliary_weight`` times that of the auxiliary head (DARTS, §A.2.1).
    """
    compute = own or partial(F.cross_entropy, label_smoothing=settings.label_smoothing)
    logits, auxiliary = outputs if isinstance(outputs, tuple) else (outputs, None)
    logits = logits.float()
    loss = compute(logits, labels)
    if auxiliary is not None:
        loss = loss + settings.auxiliary_weight * compute(auxiliary.float(), labels)
    return logits, loss
