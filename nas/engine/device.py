"""Device and dtype of a computation."""

import torch

from nas.core.errors import InputError


def choose_device(name: str) -> torch.device:
    """Return the device; ``auto`` means the CUDA GPU if there is one. Raises :class:`InputError` if it is missing.

    ``mps``, the GPU of an Apple computer, is refused: it has no float64, in which losses and accuracies are summed.
    """
    if name == "mps":
        raise InputError("device=mps: Apple GPUs lack the float64 that sums of losses need; type device=cpu")
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device={name}: must be auto, cpu or cuda")
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
