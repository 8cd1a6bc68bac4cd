"""Where a model computes, and in which number format."""

import torch

from nas.core.errors import InputError


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; raises :class:`InputError` for a device that is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device={name}: must be auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda: torch sees no CUDA GPU here; device=cpu or device=auto works without one")
    cuda = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if cuda else "cpu")


def autocast_dtype(precision: str) -> torch.dtype | None:
    """The number format of convolutions and products: bfloat16 for ``bf16``, None (as it is) for ``fp32``."""
    return {"fp32": None, "bf16": torch.bfloat16}[precision]


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
