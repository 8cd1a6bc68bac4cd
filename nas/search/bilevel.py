"""Gradients of the bilevel problem (DARTS, arXiv 1806.09055, §2.3), as pure functions.

    min over alpha of L_val(w*(alpha), alpha)    where    w*(alpha) = argmin over w of L_train(w, alpha)

A model here is any module with ``alphas()``, a dict of parameters, or ``architecture()``, which may hold others beside
them; its other parameters are the weights. If it has ``changing_buffers()``, only these change in a pass within
:func:`nas.kernels.batchnorm_stats.discard_batchnorm_stats`. A batch is (images, labels). ``relax``, if given, is the
model's second argument, the same in all passes: the relaxation of one step with its noise
(:class:`nas.models.relaxation.Relaxation`). Every function computes only the gradients that it returns, and does not
touch ``.grad``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.profiler_spans import span
from nas.core.validation import require
from nas.data.batches import Batch
from nas.engine.user_functions import Loss
from nas.kernels.batchnorm_stats import discard_batchnorm_stats
from nas.models.functional import exclusive, functional_call
from nas.models.relaxation import Relax

Tensors = dict[str, Tensor]

FINITE_DIFFERENCE = 0.01  # DARTS, §2.3, footnote 2: epsilon = 0.01 / ||v||


@dataclass(frozen=True)
class ParameterSplit:
    """A model's alphas and weights by name; valid as long as the model keeps its modules."""

    names: dict[str, str]  # the alphas' names in the model, by their keys in ``architecture()`` (kinds of cell)
    alphas: dict[str, nn.Parameter]  # by name in the model, like the weights
    weights: dict[str, nn.Parameter]
    tied: bool  # whether a parameter or buffer has two names in the model
    changing: tuple[str, ...]  # buffers that a training pass changes although its statistics are discarded


def split_parameters(model: nn.Module) -> ParameterSplit:
    """Split the model's parameters into alphas and weights."""
    names: dict[str, str] = {}
    alphas: dict[str, nn.Parameter] = {}
    weights: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    tied = False
    with exclusive():  # another thread may have put tensors of its own into the model
        tensors = list(_tensors(model))
        architecture = model.architecture if hasattr(model, "architecture") else model.alphas
        kinds = {id(alpha): kind for kind, alpha in architecture().items()}  # type: ignore[operator]  # SearchModel
        changing = tuple(name for name, _ in getattr(model, "changing_buffers", model.named_buffers)())
    for name, tensor in tensors:
        if id(tensor) in seen:
            tied = True
        elif isinstance(tensor, nn.Parameter):
            if id(tensor) in kinds:
                names[kinds[id(tensor)]] = name
            (alphas if id(tensor) in kinds else weights)[name] = tensor
        seen.add(id(tensor))
    return ParameterSplit(names, alphas, weights, tied, changing)


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield all parameters and buffers under all their names, in one walk: torch's own walks cost time each step."""
    stack = [("", model)]
    while stack:
        path, module = stack.pop()
        for own in (module._parameters, module._buffers):
            yield from ((path + name, tensor) for name, tensor in own.items() if tensor is not None)
        stack += [(f"{path}{name}.", child) for name, child in reversed(module._modules.items()) if child is not None]


def architecture_gradients(
    supernet: nn.Module,
    train_batch: Batch,
    valid_batch: Batch,
    lr: float | Tensor,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    order: int = 1,
    *,
    parts: ParameterSplit | None = None,
    momentum_buffers: Mapping[str, Tensor] | None = None,
    finite_difference: float = FINITE_DIFFERENCE,
    loss: Loss = F.cross_entropy,
    autocast: torch.dtype | None = None,
    relax: Relax | None = None,
    at: Mapping[str, Tensor] | None = None,
) -> Tensors:
    """Return the gradients of the validation loss by the alphas, keyed as ``supernet.architecture()``.

    A batch is (images (B, C, H, W), labels (B,)). Order 1 takes the weights as they are. Order 2 differentiates through
    one weight step (eq. 7–8): with ``w' = w - lr * (momentum * buffer + dL_train/dw + weight_decay * w)``,
    ``v = dL_val(w', alpha)/dw'`` and ``R = finite_difference / ||v||`` it is

        dL_val(w', alpha)/dalpha - lr * (dL_train(w + R v)/dalpha - dL_train(w - R v)/dalpha) / (2 R).

    ``parts``: a kept :func:`split_parameters`. ``momentum_buffers``: those of the weights' optimizer, zero if missing.
    Weights, buffers and BatchNorm statistics keep their values. ``autocast``: the dtype of convolutions. ``at``: other
    values of the alphas. Raises :class:`InputError` for another order.
    """
    require("order", order, order in (1, 2), "must be 1 or 2")
    parts = parts or split_parameters(supernet)
    weights = _detached(parts.weights)
    alphas = _detached(parts.alphas) | {parts.names[kind]: value.detach() for kind, value in (at or {}).items()}
    gradients = partial(_gradients, supernet, parts, loss=loss, autocast=autocast, relax=relax)
    if order == 1:
        found = gradients(valid_batch, values=weights | alphas, by=alphas)
    else:
        descend = partial(_sgd_weights, weights, momentum_buffers or {}, lr, momentum, weight_decay)
        found = _second_order(gradients, train_batch, valid_batch, alphas, weights, descend, lr, finite_difference)
    return {kind: found[name] for kind, name in parts.names.items()}


def _second_order(
    gradients: Callable[..., Tensors],
    train_batch: Batch,
    valid_batch: Batch,
    alphas: Tensors,
    weights: Tensors,
    descend: Callable[[Tensors], Tensors],
    lr: float | Tensor,
    finite_difference: float,
) -> Tensors:
    """Return the gradients of order 2 by the alphas; ``descend`` maps gradients to the weights after a step."""
    stepped = descend(gradients(train_batch, values=weights | alphas, by=weights))
    v = gradients(valid_batch, values=stepped | alphas, by=stepped | alphas)
    product = _mixed_second_derivative(partial(gradients, train_batch), alphas, weights, v, finite_difference)
    return {name: v[name] - lr * product[name] for name in alphas}


def _sgd_weights(
    weights: Tensors,
    buffers: Mapping[str, Tensor],
    lr: float | Tensor,
    momentum: float,
    decay: float,
    gradients: Tensors,
) -> Tensors:
    """Return the weights after a step of SGD with momentum (DARTS, eq. 7), unclipped."""
    step = torch._foreach_add([gradients[name] for name in weights], list(weights.values()), alpha=decay)
    known = [index for index, name in enumerate(weights) if name in buffers]
    if known:
        moving = [buffers[name] for name in weights if name in buffers]
        torch._foreach_add_([step[index] for index in known], moving, alpha=momentum)
    torch._foreach_mul_(step, lr)
    return dict(zip(weights, torch._foreach_sub(list(weights.values()), step), strict=True))


def weight_gradients(
    supernet: nn.Module,
    train_batch: Batch,
    loss: Loss = F.cross_entropy,
    *,
    parts: ParameterSplit | None = None,
    autocast: torch.dtype | None = None,
    relax: Relax | None = None,
) -> tuple[Tensor, Tensor, Tensors]:
    """Return the training loss, the logits (B, classes), and the gradients of the loss by weight name.

    This is the training pass: BatchNorms update their running statistics. ``parts``: as in
    :func:`architecture_gradients`.
    """
    parts = parts or split_parameters(supernet)
    leaves = {name: w.requires_grad_() for name, w in _detached(parts.weights).items()}
    logits = _logits(supernet, leaves | _detached(parts.alphas), train_batch, autocast, parts.tied, relax)
    with span("classifier and loss"):
        value = loss(logits, train_batch[1])
    gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return value.detach(), logits.detach(), dict(zip(leaves, gradients, strict=True))


def undisturbed_weight_gradients(
    supernet: nn.Module,
    batch: Batch,
    loss: Loss = F.cross_entropy,
    *,
    parts: ParameterSplit | None = None,
    autocast: torch.dtype | None = None,
    relax: Relax | None = None,
) -> Tensors:
    """Return the gradients of :func:`weight_gradients`; running statistics and other buffers keep their values."""
    parts = parts or split_parameters(supernet)
    weights = _detached(parts.weights)
    values = weights | _detached(parts.alphas)
    return _gradients(supernet, parts, batch, loss, values, weights, autocast, relax)


def strength_gradients(
    supernet: nn.Module,
    batch: Batch,
    strengths: Mapping[str, Tensor],
    loss: Loss = F.cross_entropy,
    *,
    parts: ParameterSplit | None = None,
    autocast: torch.dtype | None = None,
) -> tuple[Tensor, Tensors]:
    """Return the loss on ``batch`` with these strengths (E, K) by kind of cell, and its gradients by them.

    Weights and buffers keep their values.
    """
    parts = parts or split_parameters(supernet)
    leaves = {kind: values.detach().requires_grad_() for kind, values in strengths.items()}
    values = _detached(parts.weights) | _detached(parts.alphas)
    with discard_batchnorm_stats(), exclusive():
        copies = {name: supernet.get_buffer(name).clone() for name in parts.changing}
        logits = _logits(supernet, values | copies, batch, autocast, parts.tied, lambda alphas: leaves)
    value = loss(logits, batch[1])
    gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return value.detach(), dict(zip(leaves, gradients, strict=True))


def _gradients(
    model: nn.Module,
    parts: ParameterSplit,
    batch: Batch,
    loss: Loss,
    values: Tensors,
    by: Iterable[str],
    autocast: torch.dtype | None,
    relax: Relax | None,
) -> Tensors:
    """Return the gradients of the loss by the parameters named in ``by``, all parameters having ``values``.

    The pass works on copies of the buffers that it would change.
    """
    leaves = {name: values[name].detach().requires_grad_() for name in by}
    with discard_batchnorm_stats(), exclusive():
        copies = {name: model.get_buffer(name).clone() for name in parts.changing}
        logits = _logits(model, values | leaves | copies, batch, autocast, parts.tied, relax)
    with span("classifier and loss"):
        value = loss(logits, batch[1])
    if not value.requires_grad:
        if relax is None:
            raise InputError("relax: the model's own strengths have no gradient by the alphas; give those of a step")
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}  # all sampled operators are ``none``
    gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, gradients, strict=True))


def _logits(
    model: nn.Module, values: Tensors, batch: Batch, autocast: torch.dtype | None, tied: bool, relax: Relax | None
) -> Tensor:
    """Return the model's logits (B, classes) with ``values`` for its parameters; float32 under autocast."""
    images = batch[0]
    args = (images,) if relax is None else (images, relax)
    with torch.autocast(images.device.type, autocast, enabled=autocast is not None):
        logits: Tensor = functional_call(model, values, args, tie_weights=tied)
    return logits if autocast is None else logits.float()


def _mixed_second_derivative(
    train_gradients: Callable[..., Tensors], alphas: Tensors, weights: Tensors, v: Tensors, finite_difference: float
) -> Tensors:
    """Return d²L_train / (dalpha dw) times v, by a central difference along v (DARTS, eq. 8)."""
    along = [v[name] for name in weights]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(along)))
    radius = finite_difference / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    way, here = torch._foreach_mul(along, radius), list(weights.values())
    sides = []
    draws = torch.get_rng_state()
    for move in (torch._foreach_add, torch._foreach_sub):
        torch.set_rng_state(draws)  # operators that draw random numbers draw the same on both sides
        moved = dict(zip(weights, move(here, way), strict=True))
        sides.append(train_gradients(values=moved | alphas, by=alphas))
    plus, minus = sides
    return {name: (plus[name] - minus[name]) / (2 * radius) for name in alphas}


def _detached(parameters: Mapping[str, Tensor]) -> Tensors:
    return {name: parameter.detach() for name, parameter in parameters.items()}
