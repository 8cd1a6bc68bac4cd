"""Weights read from an untrusted file."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT
from nas.storage.atomic_files import check_regular_file
from nas.storage.checkpoint import load_checkpoint
from nas.storage.checkpoint_retention import newest_valid_checkpoint
from nas.storage.safetensors_file import read_safetensors

SAFETENSORS_SUFFIX = ".safetensors"


def trained_file(path: Path) -> Path:
    """Return the newest intact checkpoint of a run folder, with a warning for damaged ones; a file as it is."""
    return newest_valid_checkpoint(path / CHECKPOINT) or path / CHECKPOINT if path.is_dir() else path


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights in a ``.safetensors`` file or in a retraining's checkpoint, by name, on the CPU.

    Raises :class:`InputError` for anything but plain tensors, and for tensors larger than the file: an expanded
    tensor stores a single number for any shape.
    """
    check_regular_file(path)
    weights = read_safetensors(path)[0] if path.suffix == SAFETENSORS_SUFFIX else load_checkpoint(path).get("model")
    if not isinstance(weights, dict) or not all(map(_is_plain, weights, weights.values())):
        raise InputError(f"{path}: contains no network weights")
    if sum(tensor.numel() * tensor.element_size() for tensor in weights.values()) > path.stat().st_size:
        raise InputError(f"{path}: its weights claim to be larger than the file")
    return weights


def _is_plain(name: Any, tensor: Any) -> bool:
    dense = type(tensor) is Tensor and tensor.layout is torch.strided and not tensor.is_quantized
    return isinstance(name, str) and dense
