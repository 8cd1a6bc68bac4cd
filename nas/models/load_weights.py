"""The weights in a file, looked over before they are believed: it may come from a stranger."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nas.core.errors import InputError
from nas.storage.atomic_files import check_regular_file, error_reason
from nas.storage.checkpoint import load_checkpoint

SUFFIX = ".safetensors"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a ``.safetensors`` file or in a retraining's checkpoint, by name; on the CPU.

    Raises :class:`InputError` for anything but plain tensors, and where they say that they are larger than the file:
    a single number can stand for a tensor of any shape.
    """
    check_regular_file(path)
    weights = _read_safetensors(path) if path.suffix == SUFFIX else load_checkpoint(path).get("model")
    if not isinstance(weights, dict) or not all(map(_is_plain, weights, weights.values())):
        raise InputError(f"{path}: holds no network")
    if sum(tensor.numel() * tensor.element_size() for tensor in weights.values()) > path.stat().st_size:
        raise InputError(f"{path}: its weights say that they are larger than the file")
    return weights


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read as safetensors ({' '.join(error_reason(error).split())})") from error


def _is_plain(name: Any, tensor: Any) -> bool:
    dense = type(tensor) is Tensor and tensor.layout is torch.strided and not tensor.is_quantized
    return isinstance(name, str) and dense
