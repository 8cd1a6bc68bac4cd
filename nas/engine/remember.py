"""Taking a step back."""

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def remember(
    model: nn.Module, also: Iterable[Tensor] = (), optimiser: torch.optim.Optimizer | None = None
) -> Callable[[], None]:
    """A function that gives the model's buffers, further tensors and an optimiser the values that they have now."""
    tensors = [*model.buffers(), *also]
    with torch.no_grad():
        values = [tensor.clone() for tensor in tensors]
    state = None if optimiser is None else copy.deepcopy(optimiser.state_dict())

    def restore() -> None:
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)
        if optimiser is not None and state is not None:
            optimiser.load_state_dict(state)

    return restore
