"""Multiply-adds of a search step, and the peak FLOP per second of the device."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from nas.costs.count import reference_execution
from nas.engine.device import wait
from nas.models.relaxation import Relax
from nas.models.supernet import Supernet
from nas.search.bilevel import architecture_gradients, weight_gradients

SIDES = {"cpu": 2048, "cuda": 8192}  # of the square matrices for the measurement of the peak
_REPEATS = 5


@dataclass(frozen=True)
class StepCost:
    """Multiply-adds of the alpha step and of the weight step, per image of their batches."""

    alpha: int
    weight: int

    @property
    def both(self) -> int:
        """The multiply-adds of the two steps together."""
        return self.alpha + self.weight


def step_cost(supernet: Supernet, image_shape: Sequence[int], order: int, relax: Relax | None = None) -> StepCost:
    """Count the multiply-adds of convolutions and linear layers in the passes of a search step, per image.

    The gradient of a convolution by its input costs as much as the convolution, and so does that by its weight. In
    first order the alpha step is therefore a forward pass and the gradients by the inputs, worth 2 forward passes,
    and the weight step a forward pass and both gradients, worth 3; in second order the alpha step is worth
    2 · 3 + 2 · 2. The count is of what autograd computes in the reference execution, which is slightly less: the
    images need no gradient, nor, in the alpha step, does anything before the first alphas. ``relax`` gives the
    strengths, as in :meth:`Supernet.forward`; operators that a search method leaves out are not counted.
    """
    device = next(supernet.parameters()).device
    batch = (torch.zeros(1, *image_shape, device=device), torch.zeros(1, dtype=torch.int64, device=device))
    with reference_execution(supernet):
        with _counter() as alpha:
            architecture_gradients(supernet, batch, batch, lr=0.0, order=order, relax=relax)
        with _counter() as weight:
            weight_gradients(supernet, batch, relax=relax)
    return StepCost(int(alpha.get_total_flops()) // 2, int(weight.get_total_flops()) // 2)


def measure_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Return the FLOP per second of a large matrix product, the best of several, with the current threads."""
    side = SIDES[device.type]
    left, right = torch.rand(2, side, side, device=device, dtype=dtype)
    seconds = []
    for _ in range(1 + _REPEATS):
        wait(device)
        start = time.perf_counter()
        left @ right
        wait(device)
        seconds.append(time.perf_counter() - start)
    return float(2 * side**3 / min(seconds))


def _counter() -> FlopCounterMode:
    formulas = {torch.ops.aten.convolution_backward: _convolution_backward}
    return FlopCounterMode(display=False, custom_mapping=formulas)


def _convolution_backward(grad_output: Any, x: Any, weight: Any, *others: Any, **_: Any) -> int:
    """Return the FLOP, two per multiply-add, from shapes; torch's formula counts the weight gradient once per group."""
    transposed, output_mask = others[4], others[7]  # after bias, stride, padding and dilation; after groups
    pixels = math.prod((x if transposed else grad_output)[2:])
    return int(2 * x[0] * pixels * math.prod(weight) * sum(output_mask[:2]))
