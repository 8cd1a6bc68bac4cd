"""The alpha step and the weight step of a search (DARTS, arXiv 1806.09055, algorithm 1).

Each is one function of its batches, and of the noise of its method, that never waits for the device, so that it can be
captured as a CUDA graph as a whole. After the weight step its numbers are checked once.
"""

from functools import partial

import torch
from torch import Tensor

from nas.core.profiler_spans import span
from nas.data.batches import Batch
from nas.engine.cuda_graphs import eager
from nas.engine.device import autocast_dtype
from nas.engine.nonfinite import finite_flag, raise_if_nonfinite
from nas.engine.optimizer import sgd_step
from nas.models.relaxation import Relax
from nas.search.bilevel import Tensors, architecture_gradients, undisturbed_weight_gradients, weight_gradients
from nas.search.method import AlphaGradients, AlphaMove, WeightGradients
from nas.search.settings import SearchSettings
from nas.search.state import SearchState
from nas.search.step_relaxation import perturbed_relaxation, step_inputs, step_relaxation


def alpha_step(state: SearchState, settings: SearchSettings, train: Batch, valid: Batch, lr: float) -> None:
    """Move the alphas against the gradient of their loss on ``valid``; weights and BatchNorm statistics stay."""
    method = state.method

    def step(images: Tensor, labels: Tensor, valid_images: Tensor, valid_labels: Tensor, *inputs: Tensor) -> None:
        alphas = state.supernet.architecture()
        gradient = partial(
            architecture_gradients,
            state.supernet,
            (images, labels),
            valid_batch=(valid_images, valid_labels),
            lr=state.lr,
            momentum=settings.weights.momentum,
            weight_decay=settings.weights.weight_decay,
            order=settings.order,
            parts=state.parts,
            momentum_buffers=state.momentum_buffers() if settings.order == 2 else {},
            loss=state.loss,
            autocast=autocast_dtype(settings.precision),
            relax=step_relaxation(state, inputs),
        )
        if method.alpha_gradient is None:
            gradients = gradient()
        else:
            of_train = partial(gradient, valid_batch=(images, labels), order=1)
            asked = AlphaGradients(
                {kind: alpha.detach() for kind, alpha in alphas.items()},
                lambda at: gradient(at=at),
                lambda at: of_train(at=at),
                state.memory,
            )
            gradients = dict(method.alpha_gradient(asked))
        gradients = _with_penalties(state, settings, gradients)
        with span("optimizer"):
            _move_alphas(state, settings, gradients)

    state.lr.fill_(lr)
    inputs = step_inputs(state, settings, method.relaxation, "alphas")
    (state.graphs or eager)("alphas", step, *train, *valid, *inputs)


def _with_penalties(state: SearchState, settings: SearchSettings, gradients: Tensors) -> Tensors:
    """Return the gradients of the validation loss plus those of the size objective and of the method's penalties."""
    alphas = state.supernet.architecture()
    if state.objective is not None:
        gradients = gradients | state.objective.add_gradients(gradients, alphas)
    for penalty in state.method.penalties:
        leaves = {kind: alpha.detach().requires_grad_() for kind, alpha in state.supernet.alphas().items()}
        value = penalty(state.supernet.masked(leaves), state.epoch, settings.epochs)
        added = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        gradients |= {kind: gradients[kind] + more for kind, more in zip(leaves, added, strict=True)}
    return gradients


def _move_alphas(state: SearchState, settings: SearchSettings, gradients: Tensors) -> None:
    """Move the alphas in place against ``gradients``: by Adam, or as the method says."""
    alphas, update = state.supernet.architecture(), state.method.alpha_update
    if update is not None:
        with torch.no_grad():
            update(AlphaMove(alphas, gradients, state.supernet.edge_weights(), settings.alphas.lr))
        return
    for kind, alpha in alphas.items():
        alpha.grad = gradients[kind]
    state.alpha_optimizer.step()
    state.alpha_optimizer.zero_grad()


def weight_step(
    state: SearchState, settings: SearchSettings, train: Batch, lr: float, valid: Batch | None = None
) -> tuple[Tensor, Tensor]:
    """Move the weights against the gradient of the training loss; return that loss and the logits (B, classes).

    Both are valid until the next step. ``valid`` is the alphas' batch, which a method's weight hook may ask for. Raises
    :class:`nas.engine.nonfinite.NotFiniteError` if a number is not finite; weights and momentum are then unchanged.
    This check is the one wait for the device.
    """
    method, weights, alphas = state.method, state.parts.weights, state.supernet.architecture()
    autocast = autocast_dtype(settings.precision)
    drawn = step_inputs(state, settings, method.relaxation, "weights")
    drawn_too = step_inputs(state, settings, method.perturbation, "perturbation")

    def step(images: Tensor, labels: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensors, Tensor]:
        batch = (images, labels)
        relax = step_relaxation(state, inputs[: len(drawn)])
        relax = perturbed_relaxation(state, relax, batch, inputs[len(drawn) :], autocast)
        loss, logits, gradients = weight_gradients(
            state.supernet, batch, state.loss, parts=state.parts, autocast=autocast, relax=relax
        )
        if method.weight_hook is not None:
            gradients = _hooked(state, gradients, valid or batch, relax, autocast)
        with span("optimizer"):
            norm, finite = finite_flag(loss, gradients, alphas)
            sgd_step(state.weight_optimizer, weights, gradients, state.lr, settings.weights.clip_norm, norm, finite)
        return loss, logits, gradients, finite

    state.lr.fill_(lr)
    loss, logits, gradients, finite = (state.graphs or eager)("weights", step, *train, *drawn, *drawn_too)
    raise_if_nonfinite(finite, loss, gradients, alphas)
    return loss, logits


def _hooked(
    state: SearchState, gradients: Tensors, valid: Batch, relax: Relax | None, autocast: torch.dtype | None
) -> Tensors:
    """Return the gradients by the weights after the method's hook."""
    hook = state.method.weight_hook
    assert hook is not None
    of_valid = partial(
        undisturbed_weight_gradients,
        state.supernet,
        valid,
        state.loss,
        parts=state.parts,
        autocast=autocast,
        relax=relax,
    )
    return dict(hook(WeightGradients(gradients, of_valid, state.memory)))
