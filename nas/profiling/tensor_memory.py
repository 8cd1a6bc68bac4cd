"""The bytes of live tensors after each torch operation."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class TensorMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context that appends the bytes of live tensors to ``moments`` whenever an operation allocates a tensor.

    It counts the tensors allocated within it, on any device, in forward and backward passes; tensors that share
    memory count once. Temporary buffers inside an operation are not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moments: list[int] = []
        self._alive = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and count the tensors that it allocated."""
        output = operation(*arguments, **(options or {}))
        for tensor in [output] if isinstance(output, torch.Tensor) else tree_leaves(output):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return output

    def _count(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        if size and storage not in self._known:
            self._known.add(storage)
            weakref.finalize(storage, self._release, size).atexit = False
            self._alive += size
            self.moments.append(self._alive)

    def _release(self, size: int) -> None:
        self._alive -= size
