"""How many bytes of tensors are alive from one operation of torch to the next."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class TensorMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, ``moments`` grows by the bytes alive whenever an operation has made tensors with memory of their own.

    Tensors count that are made within, on any device, forwards and backwards, once for all that share their memory.
    What an operation takes for itself while it runs is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moments: list[int] = []
        self._alive = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, and count what it made."""
        made = operation(*arguments, **(options or {}))
        for tensor in [made] if isinstance(made, torch.Tensor) else tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        if size and storage not in self._known:
            self._known.add(storage)
            weakref.finalize(storage, self._release, size).atexit = False
            self._alive += size
            self.moments.append(self._alive)

    def _release(self, size: int) -> None:
        self._alive -= size
