"""Device and dtype of a computation."""

import torch

from nas.core.errors import InputError
from nas.core.terminal import print_warning


def choose_device(name: str) -> torch.device:
    """Return the device; ``auto`` means the CUDA GPU if there is one. Raises :class:`InputError` if it is missing.

    ``mps``, the GPU of an Apple computer, is prepared and has not been tested.
    """
    if name not in ("auto", "cpu", "cuda", "mps"):
        raise InputError(f"device={name}: must be auto, cpu, cuda or mps")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise InputError("device=mps: torch sees no Apple GPU here; device=cpu or device=auto works without one")
        print_warning("device=mps: has not been tested; compare with device=cpu")
        return torch.device("mps")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda: torch sees no CUDA GPU here; device=cpu or device=auto works without one")
    cuda = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if cuda else "cpu")


def autocast_dtype(precision: str) -> torch.dtype | None:
    """Return the dtype of convolutions and matrix products: bfloat16 for ``bf16``, None (no autocast) for ``fp32``."""
    return {"fp32": None, "bf16": torch.bfloat16}[precision]


def wait(device: torch.device) -> None:
    """Wait until the device has finished its queue."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
