"""The weights' optimizer. It works on the device alone, so that whole steps can be captured as CUDA graphs."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas.core.validation import require


@dataclass(frozen=True)
class WeightSettings:
    """Settings of the weights' optimizer: SGD with momentum, a cosine from ``lr`` to ``lr_min``, clipping.

    The defaults are those of DARTS' search (arXiv 1806.09055, §A.1.1, and its released code).
    """

    lr: float = 0.025
    lr_min: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip_norm: float = 5.0

    def __post_init__(self) -> None:
        require("weights.lr", self.lr, self.lr > 0, "must be above 0")
        require("weights.lr_min", self.lr_min, 0 <= self.lr_min <= self.lr, f"must lie in 0..weights.lr={self.lr}")
        require("weights.momentum", self.momentum, 0 <= self.momentum < 1, "must lie in 0..1, below 1")
        require("weights.weight_decay", self.weight_decay, self.weight_decay >= 0, "must be 0 or more")
        require("weights.clip_norm", self.clip_norm, self.clip_norm > 0, "must be above 0")


def init_optimizer_state(optimizer: torch.optim.Optimizer) -> None:
    """Give SGD or Adam the state before the first step, which torch would create within that step.

    Its tensors then keep their memory until another state is loaded.
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
    """Return the tensors of an optimizer's state."""
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
    """Take a step of the fused ``optimizer`` at ``lr`` (), its gradients of total ``norm`` () clipped to ``clip_norm``.

    Weights without a gradient stay as they are, without decay or momentum. If ``finite``, bool (), is false, nothing
    changes. The host does not wait for its value.
    """
    for name, gradient in gradients.items():
        weights[name].grad = _with_strides_of(weights[name], gradient)
    bad = finite.logical_not()
    torch.nn.utils.clip_grads_with_norm_(weights.values(), clip_norm, norm.masked_fill(bad, 0.0), foreach=True)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.found_inf = bad.float()  # type: ignore[attr-defined]  # as torch's GradScaler skips a step
    optimizer.step()
    optimizer.zero_grad()


def _with_strides_of(weight: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient with the strides of its weight, as the fused optimizers require."""
    return gradient if gradient.stride() == weight.stride() else torch.empty_like(weight).copy_(gradient)
