"""The two steps that a search alternates (DARTS, arXiv 1806.09055, algorithm 1)."""

import torch
from torch import Tensor

from nas.core.span import span
from nas.engine.bilevel import Batch, architecture_gradients, weight_gradients
from nas.engine.device import autocast_dtype
from nas.engine.finite import check_step
from nas.engine.search_state import SearchState
from nas.engine.settings import SearchSettings


def alpha_step(state: SearchState, settings: SearchSettings, train: Batch, valid: Batch, lr: float) -> None:
    """Move the alphas against the gradient of their loss, on ``valid``; weights and BatchNorm statistics stay."""
    gradients = architecture_gradients(
        state.supernet,
        train,
        valid,
        lr,
        settings.weights.momentum,
        settings.weights.weight_decay,
        settings.order,
        momentum_buffers=state.momentum_buffers() if settings.order == 2 else None,
        autocast=autocast_dtype(settings.precision),
    )
    if state.objective is not None:
        gradients = state.objective.add_gradients(gradients, state.supernet.alphas())
    with span("optimiser"):
        for kind, alpha in state.supernet.alphas().items():
            alpha.grad = gradients[kind]
        state.alpha_optimiser.step()
        state.alpha_optimiser.zero_grad()


def weight_step(state: SearchState, settings: SearchSettings, train: Batch, lr: float) -> tuple[Tensor, Tensor]:
    """Move the weights against the gradient of the training loss; gives that loss and the logits (B, classes).

    Raises :class:`nas.engine.finite.NotFiniteError` in front of that where a number is not finite.
    """
    loss, logits, gradients = weight_gradients(state.supernet, train, autocast=autocast_dtype(settings.precision))
    norm = check_step(loss, gradients, state.supernet.alphas())
    with span("optimiser"):
        weights = state.supernet.named_weights()
        for name, weight in weights.items():
            weight.grad = gradients[name]
        torch.nn.utils.clip_grads_with_norm_(weights.values(), settings.weights.clip_norm, norm, foreach=True)
        for group in state.weight_optimiser.param_groups:
            group["lr"] = lr
        state.weight_optimiser.step()
        state.weight_optimiser.zero_grad()
    return loss, logits
