"""The alpha step and the weight step of a search (DARTS, arXiv 1806.09055, algorithm 1).

Each is one function of its batches that never waits for the device, so that it can be captured as a CUDA graph as a
whole. After the weight step its numbers are checked once.
"""

from torch import Tensor

from nas.core.profiler_spans import span
from nas.data.batches import Batch
from nas.engine.cuda_graphs import eager
from nas.engine.device import autocast_dtype
from nas.engine.nonfinite import finite_flag, raise_if_nonfinite
from nas.engine.optimizer import sgd_step
from nas.search.bilevel import Tensors, architecture_gradients, weight_gradients
from nas.search.settings import SearchSettings
from nas.search.state import SearchState


def alpha_step(state: SearchState, settings: SearchSettings, train: Batch, valid: Batch, lr: float) -> None:
    """Move the alphas against the gradient of their loss on ``valid``; weights and BatchNorm statistics stay."""

    def step(images: Tensor, labels: Tensor, valid_images: Tensor, valid_labels: Tensor) -> None:
        gradients = architecture_gradients(
            state.supernet,
            (images, labels),
            (valid_images, valid_labels),
            state.lr,
            settings.weights.momentum,
            settings.weights.weight_decay,
            settings.order,
            parts=state.parts,
            momentum_buffers=state.momentum_buffers() if settings.order == 2 else {},
            loss=state.loss,
            autocast=autocast_dtype(settings.precision),
        )
        if state.objective is not None:
            gradients = state.objective.add_gradients(gradients, state.supernet.alphas())
        with span("optimizer"):
            for kind, alpha in state.supernet.alphas().items():
                alpha.grad = gradients[kind]
            state.alpha_optimizer.step()
            state.alpha_optimizer.zero_grad()

    state.lr.fill_(lr)
    (state.graphs or eager)("alphas", step, *train, *valid)


def weight_step(state: SearchState, settings: SearchSettings, train: Batch, lr: float) -> tuple[Tensor, Tensor]:
    """Move the weights against the gradient of the training loss; return that loss and the logits (B, classes).

    Both are valid until the next step. Raises :class:`nas.engine.nonfinite.NotFiniteError` if a number is not finite;
    weights and momentum are then unchanged. This check is the one wait for the device.
    """
    weights, alphas = state.parts.weights, state.supernet.alphas()

    def step(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensors, Tensor]:
        autocast = autocast_dtype(settings.precision)
        loss, logits, gradients = weight_gradients(
            state.supernet, (images, labels), state.loss, parts=state.parts, autocast=autocast
        )
        with span("optimizer"):
            norm, finite = finite_flag(loss, gradients, alphas)
            sgd_step(state.weight_optimizer, weights, gradients, state.lr, settings.weights.clip_norm, norm, finite)
        return loss, logits, gradients, finite

    state.lr.fill_(lr)
    loss, logits, gradients, finite = (state.graphs or eager)("weights", step, *train)
    raise_if_nonfinite(finite, loss, gradients, alphas)
    return loss, logits
