"""Activation checkpointing of cells: recomputation in the backward pass saves memory at the cost of time.

The recomputation sees the same state as the first computation, whatever has happened to the module in between: the
same parameters (a functional call may have put them there for the forward pass only), copies of the buffers, and the
same training modes. Only the first computation updates buffers such as BatchNorm's running statistics.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.models.cell_mix import CellMix
from nas.models.functional import exclusive, functional_call
from nas.models.search_cell import SearchCell

RunCell = Callable[[SearchCell, Sequence[Tensor], CellMix, BatchNormStats], Tensor]


class _CellModule(nn.Module):
    """A cell as a module whose forward pass is ``run``."""

    def __init__(self, run: RunCell, cell: SearchCell) -> None:
        super().__init__()
        self.cell = cell
        self.run = run

    def forward(self, states: Sequence[Tensor], mix: CellMix, statistics: BatchNormStats) -> Tensor:
        return self.run(self.cell, states, mix, statistics)


def checkpointed_cell(
    run: RunCell, cell: SearchCell, states: Sequence[Tensor], mix: CellMix, statistics: BatchNormStats
) -> Tensor:
    """Return ``run(cell, ...)`` without keeping its intermediate results for the backward pass."""
    if not torch.is_grad_enabled():
        return run(cell, states, mix, statistics)
    module = _CellModule(run, cell)
    parameters = dict(module.named_parameters())
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    modes = [(part, part.training) for part in cell.modules()]
    computed = False

    def compute(states: Sequence[Tensor], mix: CellMix) -> Tensor:
        nonlocal computed
        if not computed:
            computed = True
            return module(states, mix, statistics)  # type: ignore[no-any-return]
        copies = {name: buffer.clone() for name, buffer in buffers.items()}
        with exclusive(), _in_modes(modes):
            args = (states, mix, BatchNormStats(statistics.enabled))
            return functional_call(module, parameters | copies, args)  # type: ignore[no-any-return]

    result: Tensor = checkpoint(compute, states, mix, use_reentrant=False)
    return result


def cell_with_copied_buffers(
    run: RunCell, cell: SearchCell, states: Sequence[Tensor], mix: CellMix, statistics: BatchNormStats
) -> Tensor:
    """Return ``run(cell, ...)``; the cell's buffers keep their values."""
    module = _CellModule(run, cell)
    copies = {name: buffer.clone() for name, buffer in module.named_buffers()}
    result: Tensor = functional_call(module, copies, (states, mix, statistics))
    return result


@contextmanager
def _in_modes(modes: Sequence[tuple[nn.Module, bool]]) -> Iterator[None]:
    """Run with the given training modes, and restore the current ones."""
    current = [(part, part.training) for part, _ in modes]
    try:
        for part, training in modes:
            part.training = training
        yield
    finally:
        for part, training in current:
            part.training = training
