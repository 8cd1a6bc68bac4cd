"""Whether a network fits into memory, asked before it is made."""

import os
from collections.abc import Callable

import torch
from torch import nn

from nas.core.errors import InputError


def require_memory(build: Callable[[], nn.Module], device: torch.device, settings: str) -> None:
    """Raise :class:`InputError`, naming the ``settings``, where the weights that ``build`` makes and their gradients
    are more than ``device`` can hold. The network is built without memory; what it computes takes more.
    """
    try:
        with torch.device("meta"):
            model = build()
    except (RuntimeError, OverflowError) as error:
        raise InputError(f"{settings}: a network of this size cannot be built") from error
    need = 2 * sum(weight.numel() * weight.element_size() for weight in model.parameters())
    have = _memory(device)
    if need > have:
        raise InputError(f"{settings}: weights and gradients need {need / 1e9:.0f} GB, there are {have / 1e9:.0f} GB")


def _memory(device: torch.device) -> int:
    """Bytes."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63
