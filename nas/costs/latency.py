"""How long a network takes for one image."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nas.engine.device import autocast_dtype, wait

WARM_UP = 10  # forwards that are not timed: caches, memory, kernels' choice


@dataclass(frozen=True)
class Latency:
    """Seconds of a forward: the median of ``runs``, and the quartiles around it."""

    median: float
    low: float
    high: float
    runs: int


def measure_latency(model: nn.Module, image_shape: Sequence[int], precision: str = "fp32", runs: int = 50) -> Latency:
    """Time ``model`` in evaluation mode on batches of one image of ``image_shape`` (3, H, W), where its weights are.

    Each forward is timed on its own, to the end of the device's work.
    """
    device, dtype = next(model.parameters()).device, autocast_dtype(precision)
    image = torch.zeros(1, *image_shape, device=device)
    model.eval()
    seconds = []
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype is not None):
        for _ in range(WARM_UP + runs):
            wait(device)
            begun = time.perf_counter()
            model(image)
            wait(device)
            seconds.append(time.perf_counter() - begun)
    low, median, high = statistics.quantiles(seconds[WARM_UP:], n=4, method="inclusive")
    return Latency(median, low, high, runs)
