"""The gradients of the bilevel problem (DARTS, arXiv 1806.09055, §2.3), as functions of model, batches and settings.

    min over alpha of L_val(w*(alpha), alpha)    where    w*(alpha) = argmin over w of L_train(w, alpha)

A model here is any module with ``alphas()``, a dict of parameters; its other parameters are the weights. Where it has
``changing_buffers()``, these alone change in a pass within :func:`nas.kernels.statistics.discarded`. A batch is
(images, labels). Every function computes only the gradients that it returns, and leaves ``.grad`` alone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nas.core.errors import InputError
from nas.core.span import span
from nas.kernels.statistics import discarded

Batch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Tensors = dict[str, Tensor]

FINITE_DIFFERENCE = 0.01  # DARTS, §2.3, footnote 2: epsilon = 0.01 / ||v||


@dataclass(frozen=True)
class Parts:
    """A model's parameters by name, detached and sharing memory: alphas and weights apart."""

    names: dict[str, str]  # the alphas' names in the model, by kind of cell
    alphas: Tensors
    weights: Tensors
    tied: bool  # whether a parameter or buffer stands in the model twice, under two names


def split(model: nn.Module) -> Parts:
    """Tell the model's alphas from its weights."""
    kinds = {id(alpha): kind for kind, alpha in model.alphas().items()}  # type: ignore[operator]  # SearchModel
    names, alphas, weights = {}, {}, {}
    seen: set[int] = set()
    tied = False
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            tied = True
        elif id(parameter) in kinds:
            names[kinds[id(parameter)]] = name
            alphas[name] = parameter.detach()
        else:
            weights[name] = parameter.detach()
        seen.add(id(parameter))
    buffers = [id(buffer) for _, buffer in model.named_buffers(remove_duplicate=False)]
    return Parts(names, alphas, weights, tied or len(set(buffers)) < len(buffers))


def architecture_gradients(
    supernet: nn.Module,
    train_batch: Batch,
    valid_batch: Batch,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    order: int = 1,
    *,
    momentum_buffers: Mapping[str, Tensor] | None = None,
    finite_difference: float = FINITE_DIFFERENCE,
    loss: Loss = F.cross_entropy,
    autocast: torch.dtype | None = None,
) -> Tensors:
    """The gradient of the validation loss by each of the alphas, keyed as ``supernet.alphas()``.

    Order 1 takes the weights as they are. Order 2 looks one weight step ahead (eq. 7–8): with
    ``w' = w - lr * (momentum * buffer + dL_train/dw + weight_decay * w)``, ``v = dL_val(w', alpha)/dw'`` and
    ``R = finite_difference / ||v||``, it is

        dL_val(w', alpha)/dalpha - lr * (dL_train(w + R v)/dalpha - dL_train(w - R v)/dalpha) / (2 R).

    ``momentum_buffers`` are those of the weights' optimiser, by weight name; a missing one is zero. Weights and
    buffers keep their values: the BatchNorm statistics of these passes are thrown away. ``autocast``: the number
    format of convolutions and products. Raises :class:`InputError` for another order.
    """
    if order not in (1, 2):
        raise InputError(f"order={order}: must be 1 or 2")
    parts = split(supernet)
    values = parts.weights | parts.alphas
    at_risk = dict(getattr(supernet, "changing_buffers", supernet.named_buffers)())
    gradients = partial(_gradients, supernet, at_risk, loss=loss, autocast=autocast, tied=parts.tied)
    if order == 1:
        found = gradients(valid_batch, values=values, by=parts.alphas)
        return {kind: found[name] for kind, name in parts.names.items()}
    slope = gradients(train_batch, values=values, by=parts.weights)
    ahead = _one_step_ahead(parts.weights, slope, momentum_buffers or {}, lr, momentum, weight_decay)
    found = gradients(valid_batch, values=ahead | parts.alphas, by=values)
    product = _mixed_second_derivative(partial(gradients, train_batch), parts, found, finite_difference)
    return {kind: found[name] - lr * product[name] for kind, name in parts.names.items()}


def _one_step_ahead(
    weights: Tensors, gradients: Tensors, buffers: Mapping[str, Tensor], lr: float, momentum: float, decay: float
) -> Tensors:
    """The weights behind a step of SGD with momentum (DARTS, eq. 7), unclipped."""
    step = torch._foreach_add([gradients[name] for name in weights], list(weights.values()), alpha=decay)
    known = [index for index, name in enumerate(weights) if name in buffers]
    if known:
        moving = [buffers[name] for name in weights if name in buffers]
        torch._foreach_add_([step[index] for index in known], moving, alpha=momentum)
    return dict(zip(weights, torch._foreach_add(list(weights.values()), step, alpha=-lr), strict=True))


def weight_gradients(
    supernet: nn.Module, train_batch: Batch, loss: Loss = F.cross_entropy, *, autocast: torch.dtype | None = None
) -> tuple[Tensor, Tensor, Tensors]:
    """The training loss, the logits (B, classes), and the loss' gradients by weight name.

    This is the training pass: BatchNorms see its statistics.
    """
    parts = split(supernet)
    leaves = {name: w.requires_grad_() for name, w in parts.weights.items()}
    logits = _logits(supernet, leaves | parts.alphas, train_batch, autocast, parts.tied)
    with span("classifier and loss"):
        value = loss(logits, train_batch[1])
    gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return value.detach(), logits.detach(), dict(zip(leaves, gradients, strict=True))


def _gradients(
    model: nn.Module,
    at_risk: Tensors,
    batch: Batch,
    loss: Loss,
    values: Tensors,
    by: Iterable[str],
    autocast: torch.dtype | None,
    tied: bool,
) -> Tensors:
    """The gradients of the loss by the parameters named in ``by``, all parameters having ``values``.

    The buffers ``at_risk`` are those that a training pass would change: it gets copies.
    """
    leaves = {name: values[name].detach().requires_grad_() for name in by}
    with discarded():
        copies = {name: buffer.clone() for name, buffer in at_risk.items()}
        logits = _logits(model, values | leaves | copies, batch, autocast, tied)
    with span("classifier and loss"):
        value = loss(logits, batch[1])
    gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, gradients, strict=True))


def _logits(model: nn.Module, values: Tensors, batch: Batch, autocast: torch.dtype | None, tied: bool) -> Tensor:
    """The model's logits (B, classes) with ``values`` for its parameters and buffers; float32 under autocast."""
    images = batch[0]
    with torch.autocast(images.device.type, autocast, enabled=autocast is not None):
        logits: Tensor = functional_call(model, values, (images,), tie_weights=tied)
    return logits if autocast is None else logits.float()


def _mixed_second_derivative(
    train_gradients: Callable[..., Tensors], parts: Parts, v: Tensors, finite_difference: float
) -> Tensors:
    """d²L_train / (dalpha dw) applied to v, by a central difference along v (DARTS, eq. 8)."""
    along = [v[name] for name in parts.weights]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(along)))
    radius = finite_difference / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    way, weights = torch._foreach_mul(along, radius), list(parts.weights.values())
    sides = []
    for move in (torch._foreach_add, torch._foreach_sub):
        moved = dict(zip(parts.weights, move(weights, way), strict=True))
        sides.append(train_gradients(values=moved | parts.alphas, by=parts.alphas))
    plus, minus = sides
    return {name: (plus[name] - minus[name]) / (2 * radius) for name in parts.alphas}
