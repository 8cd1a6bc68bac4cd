"""How gradients move the weights: on the device alone, so that whole steps can be captured as CUDA graphs."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas.core.validation import require


@dataclass(frozen=True)
class WeightSettings:
    """The weights' optimiser: SGD with momentum, a cosine from ``lr`` to ``lr_min`` over the epochs, clipping."""

    lr: float
    lr_min: float
    momentum: float
    weight_decay: float
    clip_norm: float

    def __post_init__(self) -> None:
        require("weights.lr", self.lr, self.lr > 0, "must be above 0")
        require("weights.lr_min", self.lr_min, 0 <= self.lr_min <= self.lr, f"must lie in 0..weights.lr={self.lr}")
        require("weights.momentum", self.momentum, 0 <= self.momentum < 1, "must lie in 0..1, below 1")
        require("weights.weight_decay", self.weight_decay, self.weight_decay >= 0, "must be 0 or more")
        require("weights.clip_norm", self.clip_norm, self.clip_norm > 0, "must be above 0")


def init_optimizer_state(optimizer: torch.optim.Optimizer) -> None:
    """Give SGD or Adam the state of no steps, where it has none yet: it would come into being within the first step.

    From then on it lies where it is until another one is loaded.
    """
    for group in optimizer.param_groups:
        for weight in group["params"]:
            state = optimizer.state[weight]
            if isinstance(optimizer, torch.optim.SGD):
                state.setdefault("momentum_buffer", torch.zeros_like(weight))
            elif not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """What :func:`init_optimizer_state` made, as it is now."""
    return [value for state in optimizer.state.values() for value in state.values()]


def sgd_step(
    optimizer: torch.optim.SGD,
    weights: Mapping[str, nn.Parameter],
    gradients: Mapping[str, Tensor],
    lr: Tensor,
    clip_norm: float,
    norm: Tensor,
    finite: Tensor,
) -> None:
    """A step of the fused ``optimizer`` at ``lr`` (), its gradients of total ``norm`` () clipped to ``clip_norm``.

    Where ``finite``, bool (), is false, everything stays as it is, the gradients too. Nobody waits to know it.
    """
    for name, weight in weights.items():
        weight.grad = _laid_out_as(weight, gradients[name])
    bad = finite.logical_not()
    torch.nn.utils.clip_grads_with_norm_(weights.values(), clip_norm, norm.masked_fill(bad, 0.0), foreach=True)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.found_inf = bad.float()  # type: ignore[attr-defined]  # by which torch's GradScaler, too, stops a step
    optimizer.step()
    optimizer.zero_grad()


def _laid_out_as(weight: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with the strides of its weight: the fused optimisers take one to lie as the other."""
    return gradient if gradient.stride() == weight.stride() else torch.empty_like(weight).copy_(gradient)
