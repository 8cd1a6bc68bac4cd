"""``torch.compile``, with a clear error if it does not work."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nas.core.errors import InputError


def compile_network(model: nn.Module) -> Callable[..., Any]:
    """Return the model as one compiled function, which is compiled at its first call.

    That call raises :class:`InputError` if this machine cannot compile (no C++ compiler, an unknown GPU).
    """
    from torch._dynamo.exc import TorchDynamoException  # takes seconds to import

    run = torch.compile(model)

    def forward(*inputs: Any) -> Any:
        try:
            return run(*inputs)
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"compile=true: torch.compile fails here ({reason}); compile=false works") from error

    return forward
