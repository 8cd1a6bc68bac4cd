"""Cells that keep their inputs alone and are computed once more in the backward pass: less memory, more time.

The second computation sees what the first one saw, whatever has become of the module in between: the parameters that
stood in it then (a functional call may have put them there for the forward pass only), and copies of its buffers. What
it would move, such as BatchNorm's running statistics, is moved by the first one alone.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from nas.kernels.batchnorm_stats import BatchNormStats
from nas.models.search_cell import SearchCell

RunCell = Callable[[SearchCell, Sequence[Tensor], Tensor, BatchNormStats], Tensor]


class _Run(nn.Module):
    """A cell as a module that is run by ``run``."""

    def __init__(self, run: RunCell, cell: SearchCell) -> None:
        super().__init__()
        self.cell = cell
        self.run = run

    def forward(self, states: Sequence[Tensor], strengths_ek: Tensor, statistics: BatchNormStats) -> Tensor:
        return self.run(self.cell, states, strengths_ek, statistics)


def checkpointed_cell(
    run: RunCell, cell: SearchCell, states: Sequence[Tensor], strengths_ek: Tensor, statistics: BatchNormStats
) -> Tensor:
    """What ``run`` gives, with the memory of its intermediate results given back until the backward pass."""
    if not torch.is_grad_enabled():
        return run(cell, states, strengths_ek, statistics)
    module = _Run(run, cell)
    parameters = dict(module.named_parameters())
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    computed = False

    def compute(states: Sequence[Tensor], strengths_ek: Tensor) -> Tensor:
        nonlocal computed
        if not computed:
            computed = True
            return module(states, strengths_ek, statistics)  # type: ignore[no-any-return]
        copies = {name: buffer.clone() for name, buffer in buffers.items()}
        return functional_call(module, parameters | copies, (states, strengths_ek, BatchNormStats(statistics.enabled)))  # type: ignore[no-any-return]

    result: Tensor = checkpoint(compute, states, strengths_ek, use_reentrant=False)
    return result
