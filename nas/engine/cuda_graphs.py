"""Steps replayed as CUDA graphs: the thousands of kernels of a step go to the device with one call.

A graph repeats the kernels that it was captured with, on the memory that it was captured with. So parameters, buffers
and the optimisers' states must stay where they are, and what changes from step to step (a learning rate) must be a
tensor. Written without a GPU at hand: the bookkeeping is tested, the capture is not.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from nas.engine.snapshot import snapshot

WARM_UP = 3  # calls in front of a capture, in which libraries choose their kernels and allocate what they keep

Function = Callable[..., Any]


class Graph(Protocol):
    """What a :class:`torch.cuda.CUDAGraph` does."""

    def replay(self) -> None:
        """Once more what was captured."""

    def pool(self) -> Any:
        """Whose memory it has."""


def eager(name: str, function: Function, *inputs: Tensor) -> Any:
    """``function(*inputs)``, kernel by kernel; in the place of :class:`CudaGraphs`."""
    return function(*inputs)


@dataclass(frozen=True)
class _Kept:
    inputs: tuple[Tensor, ...]  # where the graph reads them
    graph: Graph
    outputs: Any


class CudaGraphs:
    """Calls functions by their names, each captured as a CUDA graph when its name or its inputs' shapes are new.

    ``moved`` gives the tensors that a call may change, in place. All graphs use the same memory by turns: what is given
    back lies there until the next call. Where a capture fails, a line on standard error says why, and from then on
    functions are called as they are.
    """

    def __init__(self, moved: Callable[[], Iterable[Tensor]]) -> None:
        self.moved = moved
        self.failed = ""
        self._kept: dict[str, _Kept] = {}

    def __call__(self, name: str, function: Function, *inputs: Tensor) -> Any:
        """``function(*inputs)``; whatever ``function`` is, a call of this name repeats the one that was captured."""
        if name not in self._kept or _forms(self._kept[name].inputs) != _forms(inputs):
            self._kept.pop(name, None)  # gives its memory back first
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
        """To be called where memory that the graphs know has been replaced; the next calls capture anew."""
        self._kept.clear()

    def _capture(self, name: str, function: Function, inputs: tuple[Tensor, ...]) -> None:
        mine = tuple(x.clone() for x in inputs)
        restore = snapshot(self.moved())
        try:
            pool = next((kept.graph.pool() for kept in self._kept.values()), None)
            graph, outputs = capture(function, mine, pool)
        except RuntimeError as error:  # also that memory is too small for it
            self.failed = (str(error).strip().splitlines() or [type(error).__name__])[0]
            print(f"warning: cuda_graphs=true: goes on without them, {self.failed}", file=sys.stderr)
        else:
            self._kept[name] = _Kept(mine, graph, outputs)
        finally:
            restore()


def _forms(inputs: tuple[Tensor, ...]) -> list[tuple[torch.Size, torch.dtype]]:
    return [(x.shape, x.dtype) for x in inputs]


def capture(function: Function, inputs: tuple[Tensor, ...], pool: Any) -> tuple[Graph, Any]:
    """Capture ``function(*inputs)``, and what it gives, whose values come with the first replay; ``pool``: its memory.

    The warm-up moves what the function moves. Raises RuntimeError where the device, or what the function does (waiting
    for a value, copying from unpinned memory), does not allow a capture.
    """
    if inputs[0].device.type != "cuda":
        raise RuntimeError(f"the device is {inputs[0].device}, which has no CUDA graphs")
    aside, stream = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(stream)
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            function(*inputs)
    stream.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        outputs = function(*inputs)
    return graph, outputs
