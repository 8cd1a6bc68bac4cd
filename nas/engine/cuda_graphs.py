"""CUDA graphs of whole steps: one call launches the thousands of kernels of a step.

A graph repeats its captured kernels on the memory that they were captured with. So parameters, buffers and optimizer
states must keep their memory, and what changes from step to step (a learning rate) must be a tensor. The bookkeeping
is tested on the CPU; the capture needs a GPU.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from nas.core.terminal import print_warning
from nas.engine.snapshot import snapshot

_WARM_UP = 3  # calls before a capture, in which libraries choose their kernels and allocate their workspaces

Function = Callable[..., Any]


class Graph(Protocol):
    """The used part of :class:`torch.cuda.CUDAGraph`."""

    def replay(self) -> None:
        """Run the captured kernels again."""

    def pool(self) -> Any:
        """Return the handle of its memory pool."""


def eager(name: str, function: Function, *inputs: Tensor) -> Any:
    """Call ``function(*inputs)`` kernel by kernel; a stand-in for :class:`CudaGraphs`."""
    return function(*inputs)


@dataclass(frozen=True)
class _Kept:
    inputs: tuple[Tensor, ...]  # where the graph reads them
    graph: Graph
    outputs: Any


class CudaGraphs:
    """Functions captured as CUDA graphs, by name, whenever a name or the shapes of its inputs are new.

    ``moved`` returns the tensors that a call may change in place. All graphs share one memory pool: outputs are valid
    until the next call. If a capture fails, a line on standard error says why, and functions run eagerly from then on.
    """

    def __init__(self, moved: Callable[[], Iterable[Tensor]]) -> None:
        self.moved = moved
        self.failed = ""
        self._kept: dict[str, _Kept] = {}

    def __call__(self, name: str, function: Function, *inputs: Tensor) -> Any:
        """Return ``function(*inputs)``; a call of a known name replays the function captured under it."""
        if name not in self._kept or _forms(self._kept[name].inputs) != _forms(inputs):
            self._kept.pop(name, None)  # frees its memory first
            if not self.failed:
                self._capture(name, function, inputs)
        if name not in self._kept:
            return function(*inputs)
        kept = self._kept[name]
        for mine, given in zip(kept.inputs, inputs, strict=True):
            mine.copy_(given)
        kept.graph.replay()
        return kept.outputs

    def forget(self) -> None:
        """Drop all graphs, because memory that they use was replaced; the next calls capture again."""
        self._kept.clear()

    def _capture(self, name: str, function: Function, inputs: tuple[Tensor, ...]) -> None:
        mine = tuple(x.clone() for x in inputs)
        restore = snapshot(self.moved())
        try:
            pool = next((kept.graph.pool() for kept in self._kept.values()), None)
            graph, outputs = capture(function, mine, pool)
        except RuntimeError as error:  # including out of memory
            self.failed = (str(error).strip().splitlines() or [type(error).__name__])[0]
            print_warning(f"cuda_graphs=true: continuing without them, {self.failed}")
        else:
            self._kept[name] = _Kept(mine, graph, outputs)
        finally:
            restore()


def _forms(inputs: tuple[Tensor, ...]) -> list[tuple[torch.Size, torch.dtype]]:
    return [(x.shape, x.dtype) for x in inputs]


def capture(function: Function, inputs: tuple[Tensor, ...], pool: Any) -> tuple[Graph, Any]:
    """Capture ``function(*inputs)``; return the graph and the outputs, which have values after the first replay.

    The warm-up changes what the function changes. Raises RuntimeError if the device, or what the function does (waiting
    for a value, copying from unpinned memory), does not allow a capture.
    """
    if inputs[0].device.type != "cuda":
        raise RuntimeError(f"the device is {inputs[0].device}, which has no CUDA graphs")
    aside, stream = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(stream)
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            function(*inputs)
    stream.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        outputs = function(*inputs)
    return graph, outputs
