"""The running statistics of BatchNorms, collected over a pass and written together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

_SPARE_ELEMENTS = 2**16
_enabled = ContextVar("enabled", default=True)


@contextmanager
def discard_batchnorm_stats() -> Iterator[None]:
    """Leave the running statistics as they are in all passes within the block."""
    token = _enabled.set(False)
    try:
        yield
    finally:
        _enabled.reset(token)


class BatchNormStats:
    """The batch statistics that the BatchNorms of one training pass computed.

    Not ``enabled`` within :func:`discard_batchnorm_stats`: nothing is collected then.
    """

    def __init__(self, enabled: bool | None = None) -> None:
        self.enabled = _enabled.get() if enabled is None else enabled
        self._updates: dict[float, tuple[list[Tensor], list[Tensor]]] = {}  # by momentum: buffers, batch statistics
        self._counters: list[Tensor] = []
        self._spare: Tensor | None = None

    def zeros(self, size: int, like: Tensor) -> Tensor:
        """Return (size,) zeros with the dtype and device of ``like``: many small tensors from one allocation."""
        spare = self._spare
        if spare is None or len(spare) < size or spare.dtype != like.dtype or spare.device != like.device:
            spare = like.new_zeros(max(size, _SPARE_ELEMENTS))
        self._spare = spare[size:]
        return spare[:size]

    def add(self, norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
        """Record a batch's mean and unbiased variance, (C,) each, for ``norm``."""
        if not self.enabled:
            return
        assert norm.momentum is not None
        running_mean, running_var = norm.running_mean, norm.running_var
        assert running_mean is not None
        assert running_var is not None
        if running_mean.shape != mean.shape or running_var.shape != variance.shape:
            shapes = tuple(running_mean.shape), tuple(running_var.shape)
            raise ValueError(f"running statistics: given {shapes}; wanted {tuple(mean.shape)} for both")
        buffers, values = self._updates.setdefault(norm.momentum, ([], []))
        buffers += running_mean, running_var
        values += mean, variance
        if norm.num_batches_tracked is not None:
            self._counters.append(norm.num_batches_tracked)

    def write(self) -> None:
        """Update the running statistics: ``running += momentum * (batch - running)``."""
        with torch.no_grad():
            for momentum, (buffers, values) in self._updates.items():
                if _are_distinct(buffers):
                    torch._foreach_lerp_(buffers, _converted(values, buffers), momentum)
                else:  # a module in several places saw several batches, one after the other
                    for buffer, value in zip(buffers, _converted(values, buffers), strict=True):
                        buffer.lerp_(value, momentum)
            if self._counters and _are_distinct(self._counters):
                torch._foreach_add_(self._counters, 1)
            else:
                for counter in self._counters:
                    counter.add_(1)


def _are_distinct(tensors: Sequence[Tensor]) -> bool:
    return len({id(tensor) for tensor in tensors}) == len(tensors)


def _converted(values: Sequence[Tensor], buffers: Sequence[Tensor]) -> list[Tensor]:
    return [value.to(buffer) for value, buffer in zip(values, buffers, strict=True)]
