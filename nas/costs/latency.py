"""Latency of a network for one image."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nas.engine.device import autocast_dtype, wait

_WARMUP = 10  # forward passes that are not timed: caches, memory, choice of kernels


@dataclass(frozen=True)
class Latency:
    """Seconds per forward pass: median and quartiles of ``runs``."""

    median: float
    low: float
    high: float
    runs: int


def measure_latency(model: nn.Module, image_shape: Sequence[int], precision: str = "fp32", runs: int = 50) -> Latency:
    """Time ``model`` in evaluation mode on one image of ``image_shape`` (channels, H, W), on the device of its weights.

    Each forward pass is timed separately, up to the end of the device's work.
    """
    device, dtype = next(model.parameters()).device, autocast_dtype(precision)
    image = torch.zeros(1, *image_shape, device=device)
    model.eval()
    seconds = []
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype is not None):
        for _ in range(_WARMUP + runs):
            wait(device)
            start = time.perf_counter()
            model(image)
            wait(device)
            seconds.append(time.perf_counter() - start)
    low, median, high = statistics.quantiles(seconds[_WARMUP:], n=4, method="inclusive")
    return Latency(median, low, high, runs)
