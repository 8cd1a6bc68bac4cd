"""Prediction of a search's peak memory from steps at two small batch sizes.

At each moment of a step the bytes in use are a linear function of the batch size: weights, optimizer states and
statistics are the intercept, activations and their gradients the slope. Steps at two small batch sizes determine all
these lines, and the largest value at the actual batch size is the prediction. Since real steps are counted, it works
for all operators, executions and devices. Temporary buffers inside an operation and fragmentation of a CPU's heap are
not included, so the prediction tends to be too small (docs/results.md).
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas.data.batches import Batch
from nas.graph.space import Space
from nas.profiling.tensor_memory import TensorMemory
from nas.runtime.available_memory import available_memory
from nas.search.settings import SearchSettings
from nas.search.state import init_search_state
from nas.search.steps import alpha_step, weight_step

_SMALL_BATCHES = 2, 4  # BatchNorm needs at least 2 images at a resolution of 1x1


@dataclass(frozen=True)
class MemoryTask:
    """The space, data and device of a search: what its memory depends on besides the settings."""

    space: Space
    image_shape: tuple[int, int, int]
    num_classes: int
    images: int  # for training; both halves of the search together hold a copy of each
    device: torch.device
    pixel_bytes: int = 1  # 4 for float images

    @property
    def data_bytes(self) -> int:
        """The bytes of the copies with their labels."""
        channels, height, width = self.image_shape
        return self.images * (channels * height * width * self.pixel_bytes + 8)


@dataclass(frozen=True, eq=False)
class MemoryEstimate:
    """The peak memory of a search: the maximum of ``fixed + per_image * batch size`` over the moments of its steps."""

    fixed: Tensor  # bytes, float64 (moments,)
    per_image: Tensor  # bytes, float64 (moments,)

    def bytes(self, batch_size: int) -> int:
        """Return the peak in bytes at this batch size."""
        return int((self.fixed + self.per_image * batch_size).max())

    def largest_batch(self, memory: int) -> int:
        """Return the largest batch size that fits into ``memory`` bytes; 0 if none does."""
        grows = self.per_image > 0
        return max(int(((memory - self.fixed[grows]) / self.per_image[grows]).min()), 0)


def predict_memory(task: MemoryTask, settings: SearchSettings) -> MemoryEstimate:
    """Predict a search's memory, beyond what the process and its dataset already use. Leaves random states alone."""
    smaller, larger = (_moments(task, settings, size) for size in _SMALL_BATCHES)
    if len(smaller) != len(larger):  # an operator does different work at different batch sizes: only peaks compare
        smaller, larger = [max(smaller)], [max(larger)]
    first, second = (torch.tensor(moments, dtype=torch.float64) for moments in (smaller, larger))
    per_image = (second - first) / (_SMALL_BATCHES[1] - _SMALL_BATCHES[0])
    return MemoryEstimate(first - _SMALL_BATCHES[0] * per_image + task.data_bytes, per_image)


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that a search on ``device`` can use; None if the system does not tell."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return available_memory()


def settings_that_fit(task: MemoryTask, settings: SearchSettings, estimate: MemoryEstimate, memory: int) -> list[str]:
    """Return the settings, as on the command line, each of which alone makes the search fit into ``memory`` bytes."""
    batch_size = estimate.largest_batch(memory)
    fitting = [f"batch_size={batch_size}"] if 0 < batch_size < settings.batch_size else []
    for name, value in (("grad_checkpoint", True), ("precision", "bf16")):
        other = replace(settings, **{name: value})  # type: ignore[arg-type]
        if other != settings and predict_memory(task, other).bytes(settings.batch_size) <= memory:
            fitting.append(f"{name}={str(value).lower()}")
    return fitting


def _moments(task: MemoryTask, settings: SearchSettings, batch_size: int) -> Sequence[int]:
    """Return the bytes in use at every moment of an alpha step and a weight step."""
    gc.collect()
    devices = [task.device] if task.device.type == "cuda" else []
    with torch.random.fork_rng(devices), TensorMemory() as memory:
        state = init_search_state(
            task.space, replace(settings, cuda_graphs=False), task.num_classes, task.device, task.image_shape[0]
        )
        state.supernet.train()
        train, valid = _batch(task, batch_size), _batch(task, batch_size)
        alpha_step(state, settings, train, valid, settings.weights.lr)
        weight_step(state, settings, train, settings.weights.lr)
    moments: Sequence[int] = memory.moments
    return moments


def _batch(task: MemoryTask, batch_size: int) -> Batch:
    noise = torch.rand(batch_size, *task.image_shape, device=task.device)
    return noise, torch.zeros(batch_size, dtype=torch.int64, device=task.device)
