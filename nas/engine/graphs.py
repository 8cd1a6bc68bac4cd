"""Gradients replayed as CUDA graphs: the thousands of kernels of a pass go to the device with one call.

A graph repeats the kernels that it was captured with, on the memory that it was captured with. So parameters, buffers
and the weights' momentum must stay where they are, and what a function takes besides tensors (a learning rate) is part
of the key that its graph is kept by. Written without a GPU at hand: the bookkeeping is tested, the capture is not.
"""

import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas.engine.remember import remember

WARM_UP = 3  # passes in front of a capture, in which libraries choose their kernels and allocate what they keep

Function = Callable[..., Any]


def eager(name: str, key: Hashable, function: Function, *inputs: Tensor) -> Any:
    """``function(*inputs)``, kernel by kernel; in the place of :class:`Graphs`."""
    return function(*inputs)


@dataclass(frozen=True)
class _Kept:
    key: Hashable
    inputs: tuple[Tensor, ...]  # where the graph reads them
    replay: Callable[[], None]
    outputs: Any


class Graphs:
    """Calls functions by their names, each captured as a CUDA graph when its key or its inputs' shapes are new.

    ``model`` is what the functions compute with; its buffers are what a call may change. What is given back lies in the
    graph's memory until the next call of that name. Where a capture fails, a line on standard error says why, and from
    then on functions are called as they are.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.failed = ""
        self._kept: dict[str, _Kept] = {}

    def __call__(self, name: str, key: Hashable, function: Function, *inputs: Tensor) -> Any:
        """``function(*inputs)``."""
        key = (key, *((x.shape, x.dtype) for x in inputs))
        if name not in self._kept or self._kept[name].key != key:
            self._kept.pop(name, None)  # gives its memory back first
            if not self.failed:
                self._capture(name, key, function, inputs)
        if name not in self._kept:
            return function(*inputs)
        kept = self._kept[name]
        for mine, given in zip(kept.inputs, inputs, strict=True):
            mine.copy_(given)
        kept.replay()
        return kept.outputs

    def forget(self) -> None:
        """To be called where memory that the graphs know has been replaced; the next calls capture anew."""
        self._kept.clear()

    def _capture(self, name: str, key: Hashable, function: Function, inputs: tuple[Tensor, ...]) -> None:
        mine = tuple(x.clone() for x in inputs)
        restore = remember(self.model)
        try:
            replay, outputs = record(function, mine)
        except RuntimeError as error:  # also that memory is too small for it
            self.failed = (str(error).strip().splitlines() or [type(error).__name__])[0]
            print(f"warning: cuda_graphs=true: goes on without them, {self.failed}", file=sys.stderr)
        else:
            self._kept[name] = _Kept(key, mine, replay, outputs)
        finally:
            restore()


def record(function: Function, inputs: tuple[Tensor, ...]) -> tuple[Callable[[], None], Any]:
    """Capture ``function(*inputs)``: what replays it, and what it gives, whose values come with the first replay.

    The passes of the warm-up move buffers. Raises RuntimeError where the device, or what the function does (waiting for
    a value, copying from unpinned memory), does not allow a capture.
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
    with torch.cuda.graph(graph):
        outputs = function(*inputs)
    return graph.replay, outputs
