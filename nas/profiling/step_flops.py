"""What a search step computes, and how fast the device could compute it at best."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from nas.costs.count import reference_execution
from nas.engine.device import wait
from nas.models.supernet import Supernet
from nas.search.bilevel import architecture_gradients, weight_gradients

SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices that the peak is measured with
REPEATS = 5


@dataclass(frozen=True)
class StepCost:
    """Multiply-adds for an image of each of the two batches: of the alpha step and of the weight step."""

    alpha: int
    weight: int

    @property
    def both(self) -> int:
        """Of the two steps together."""
        return self.alpha + self.weight


def step_cost(supernet: Supernet, image_shape: Sequence[int], order: int) -> StepCost:
    """The multiply-adds of convolutions and linear layers in the passes of a search step, per image.

    A convolution's gradient by its input, and that by its weight, cost as much as the convolution. Of first order the
    alpha step is therefore a forward pass and the gradients by the inputs, 2 forwards in all, the weight step a
    forward pass and both gradients, 3 forwards; of second order the alpha step is 2 · 3 + 2 · 2 forwards. Counted is
    what autograd asks for in the reference execution: a little less, since the stem's images, and in the alpha step
    all that stands in front of the first alphas, want no gradient.
    """
    device = next(supernet.parameters()).device
    batch = (torch.zeros(1, *image_shape, device=device), torch.zeros(1, dtype=torch.int64, device=device))
    with reference_execution(supernet):
        with _counter() as alpha:
            architecture_gradients(supernet, batch, batch, lr=0.0, order=order)
        with _counter() as weight:
            weight_gradients(supernet, batch)
    return StepCost(int(alpha.get_total_flops()) // 2, int(weight.get_total_flops()) // 2)


def measure_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP per second of a product of two large matrices, the best of several, with the threads set now."""
    side = SIDES[device.type]
    left, right = torch.rand(2, side, side, device=device, dtype=dtype)
    seconds = []
    for _ in range(1 + REPEATS):
        wait(device)
        begun = time.perf_counter()
        left @ right
        wait(device)
        seconds.append(time.perf_counter() - begun)
    return float(2 * side**3 / min(seconds))


def _counter() -> FlopCounterMode:
    formulas = {torch.ops.aten.convolution_backward: _convolution_backward}
    return FlopCounterMode(display=False, custom_mapping=formulas)


def _convolution_backward(by_output: Any, x: Any, weight: Any, *others: Any, **_: Any) -> int:
    """Two per multiply-add, from shapes; torch's own formula counts the weight gradient of g groups g times."""
    transposed, asked = others[4], others[7]  # behind bias, stride, padding and dilation; behind groups
    pixels = math.prod((x if transposed else by_output)[2:])
    return int(2 * x[0] * pixels * math.prod(weight) * sum(asked[:2]))
