"""BatchNorm's running statistics, collected over a pass and written in one go."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

_SPARE_ELEMENTS = 2**16  # elements
_enabled = ContextVar("enabled", default=True)


@contextmanager
def discard_batchnorm_stats() -> Iterator[None]:
    """Passes within the block leave the running statistics as they are."""
    token = _enabled.set(False)
    try:
        yield
    finally:
        _enabled.reset(token)


class BatchNormStats:
    """What the BatchNorms of one training pass have seen.

    Nothing is ``kept`` of a pass within :func:`discard_batchnorm_stats`.
    """

    def __init__(self, enabled: bool | None = None) -> None:
        self.enabled = _enabled.get() if enabled is None else enabled
        self._seen: dict[float, tuple[list[Tensor], list[Tensor]]] = {}  # by momentum: buffers, what they move to
        self._counts: list[Tensor] = []
        self._spare: Tensor | None = None

    def zeros(self, size: int, like: Tensor) -> Tensor:
        """(size,) zeros of the kind of ``like``, from a larger piece: one kernel for many."""
        if self._spare is None or len(self._spare) < size or (self._spare.dtype, self._spare.device) != _kind(like):
            self._spare = like.new_zeros(max(size, _SPARE_ELEMENTS))
        found, self._spare = self._spare[:size], self._spare[size:]
        return found

    def add(self, norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
        """``norm`` saw a batch of this mean and unbiased variance, (C,) each."""
        if not self.enabled:
            return
        assert norm.momentum is not None
        buffers, values = self._seen.setdefault(norm.momentum, ([], []))
        assert norm.running_mean is not None
        assert norm.running_var is not None
        buffers += norm.running_mean, norm.running_var
        values += mean, variance
        if norm.num_batches_tracked is not None:
            self._counts.append(norm.num_batches_tracked)

    def write(self) -> None:
        """Move the running statistics: ``running += momentum * (batch - running)``."""
        with torch.no_grad():
            for momentum, (buffers, values) in self._seen.items():
                torch._foreach_lerp_(buffers, _like(values, buffers), momentum)
            if self._counts:
                torch._foreach_add_(self._counts, 1)


def _kind(x: Tensor) -> tuple[torch.dtype, torch.device]:
    return x.dtype, x.device


def _like(values: Sequence[Tensor], buffers: Sequence[Tensor]) -> list[Tensor]:
    return [value.to(buffer) for value, buffer in zip(values, buffers, strict=True)]


def is_search_batchnorm(norm: nn.Module) -> bool:
    """Whether ``norm`` is a BatchNorm as the search builds them: no scale, no shift, running means by momentum."""
    return type(norm) is nn.BatchNorm2d and not norm.affine and norm.track_running_stats and norm.momentum is not None
