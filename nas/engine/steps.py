"""The two steps that a search alternates (DARTS, arXiv 1806.09055, algorithm 1)."""

import torch
from torch import Tensor

from nas.core.span import span
from nas.engine.bilevel import Batch, Tensors, architecture_gradients, weight_gradients
from nas.engine.device import autocast_dtype
from nas.engine.finite import check_step
from nas.engine.graphs import eager
from nas.engine.search_state import SearchState
from nas.engine.settings import SearchSettings


def alpha_step(state: SearchState, settings: SearchSettings, train: Batch, valid: Batch, lr: float) -> None:
    """Move the alphas against the gradient of their loss, on ``valid``; weights and BatchNorm statistics stay."""
    momentum = state.momentum_buffers() if settings.order == 2 else {}

    def compute(images: Tensor, labels: Tensor, valid_images: Tensor, valid_labels: Tensor) -> Tensors:
        return architecture_gradients(
            state.supernet,
            (images, labels),
            (valid_images, valid_labels),
            lr,
            settings.weights.momentum,
            settings.weights.weight_decay,
            settings.order,
            parts=state.parts,
            momentum_buffers=momentum,
            autocast=autocast_dtype(settings.precision),
        )

    ahead = (lr, len(momentum)) if settings.order == 2 else None  # what the first order makes no use of
    gradients: Tensors = (state.graphs or eager)("alphas", ahead, compute, *train, *valid)
    if state.objective is not None:
        gradients = state.objective.add_gradients(gradients, state.supernet.alphas())
    with span("optimiser"):
        for kind, alpha in state.supernet.alphas().items():
            alpha.grad = gradients[kind]
        state.alpha_optimiser.step()
        state.alpha_optimiser.zero_grad()


def weight_step(state: SearchState, settings: SearchSettings, train: Batch, lr: float) -> tuple[Tensor, Tensor]:
    """Move the weights against the gradient of the training loss; gives that loss and the logits (B, classes).

    They last until the next step. Raises :class:`nas.engine.finite.NotFiniteError` in front of the move where a number
    is not finite.
    """

    def compute(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensors]:
        autocast = autocast_dtype(settings.precision)
        return weight_gradients(state.supernet, (images, labels), parts=state.parts, autocast=autocast)

    loss, logits, gradients = (state.graphs or eager)("weights", None, compute, *train)
    norm = check_step(loss, gradients, state.supernet.alphas())
    with span("optimiser"):
        weights = state.parts.weights
        for name, weight in weights.items():
            weight.grad = gradients[name]
        torch.nn.utils.clip_grads_with_norm_(weights.values(), settings.weights.clip_norm, norm, foreach=True)
        for group in state.weight_optimiser.param_groups:
            group["lr"] = lr
        state.weight_optimiser.step()
        state.weight_optimiser.zero_grad()
    return loss, logits
