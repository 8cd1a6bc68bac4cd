"""How much memory a search will need, found by taking its steps at two small batch sizes and counting.

Each moment of a step holds as many bytes as a straight line in the batch size says: weights, optimisers' states and
statistics are its beginning, activations and their gradients its slope. Two small batches give all lines; the largest
at the batch size in question is the prediction. It holds for any operators, executions and devices, because real steps
are counted. What an operation takes for itself while it runs, and the gaps that a CPU's heap gets, come on top of it:
it is rather too small than too large (docs/results.md).
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

FEW, MORE = 2, 4  # images: from 2 on BatchNorm works at any resolution


@dataclass(frozen=True)
class MemoryTask:
    """What is searched on what: all that the memory depends on besides the settings."""

    space: Space
    image_shape: tuple[int, int, int]
    num_classes: int
    images: int  # for training, of which each half of the search holds a copy
    device: torch.device

    @property
    def data_bytes(self) -> int:
        """The copies, uint8, with their labels."""
        channels, height, width = self.image_shape
        return self.images * (channels * height * width + 8)


@dataclass(frozen=True, eq=False)
class MemoryEstimate:
    """Bytes that a search needs at its peak: the largest of ``fixed + each_image * batch size`` over its moments."""

    fixed: Tensor  # float64 (moments,)
    each_image: Tensor  # float64 (moments,)

    def bytes(self, batch_size: int) -> int:
        """At this batch size."""
        return int((self.fixed + self.each_image * batch_size).max())

    def largest_batch(self, memory: int) -> int:
        """The largest batch size that needs no more than so many bytes; 0 where none does."""
        grows = self.each_image > 0
        return max(int(((memory - self.fixed[grows]) / self.each_image[grows]).min()), 0)


def predict_memory(task: MemoryTask, settings: SearchSettings) -> MemoryEstimate:
    """The memory of a search, beyond what the process and its dataset take already. Changes no random state."""
    few, more = _moments(task, settings, FEW), _moments(task, settings, MORE)
    if len(few) != len(more):  # what an operator does depends on the batch size: only the peaks can be compared
        few, more = [max(few)], [max(more)]
    first, second = (torch.tensor(moments, dtype=torch.float64) for moments in (few, more))
    each_image = (second - first) / (MORE - FEW)
    return MemoryEstimate(first - FEW * each_image + task.data_bytes, each_image)


def free_memory(device: torch.device) -> int | None:
    """Bytes that a search on ``device`` can take; None where the system does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return available_memory()


def settings_that_fit(task: MemoryTask, settings: SearchSettings, footprint: MemoryEstimate, memory: int) -> list[str]:
    """The settings that would make the search fit into so many bytes, each by itself, as on the command line."""
    batch_size = footprint.largest_batch(memory)
    fitting = [f"batch_size={batch_size}"] if 0 < batch_size < settings.batch_size else []
    for name, value in (("grad_checkpoint", True), ("precision", "bf16")):
        other = replace(settings, **{name: value})  # type: ignore[arg-type]
        if other != settings and predict_memory(task, other).bytes(settings.batch_size) <= memory:
            fitting.append(f"{name}={str(value).lower()}")
    return fitting


def _moments(task: MemoryTask, settings: SearchSettings, images: int) -> Sequence[int]:
    """The bytes alive at all moments of an alpha step and a weight step."""
    gc.collect()
    devices = [task.device] if task.device.type == "cuda" else []
    with torch.random.fork_rng(devices), TensorMemory() as allocations:
        state = init_search_state(task.space, replace(settings, cuda_graphs=False), task.num_classes, task.device)
        state.supernet.train()
        train, valid = _batch(task, images), _batch(task, images)
        alpha_step(state, settings, train, valid, settings.weights.lr)
        weight_step(state, settings, train, settings.weights.lr)
    moments: Sequence[int] = allocations.moments
    return moments


def _batch(task: MemoryTask, images: int) -> Batch:
    noise = torch.rand(images, *task.image_shape, device=task.device)
    return noise, torch.zeros(images, dtype=torch.int64, device=task.device)
