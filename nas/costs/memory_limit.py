"""The check that a network fits into memory, before it is built."""

import os
from collections.abc import Callable

import torch
from torch import nn

from nas.core.errors import InputError


def require_memory(build: Callable[[], nn.Module], device: torch.device, settings: str) -> nn.Module:
    """Raise :class:`InputError` naming ``settings`` if weights and gradients of the network exceed the device's memory.

    ``build`` runs on the meta device, so it allocates nothing; the result is that model. Activations, which come on
    top, are not counted.
    """
    try:
        with torch.device("meta"):
            model = build()
    except (RuntimeError, OverflowError) as error:
        raise InputError(f"{settings}: a network of this size cannot be built") from error
    needed = 2 * sum(weight.numel() * weight.element_size() for weight in model.parameters())
    total = _total_memory(device)
    if needed > total:
        sizes = f"{needed / 1e9:.0f} GB of memory; allowed: at most {total / 1e9:.0f} GB"
        raise InputError(f"{settings}: weights and gradients need {sizes}")
    return model


def _total_memory(device: torch.device) -> int:
    """Return the bytes of memory of the machine, or of the GPU."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63
