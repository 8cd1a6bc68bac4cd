"""Weights read from an untrusted file, with what the file says about their network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT
from nas.storage.atomic_files import check_regular_file
from nas.storage.checkpoint import load_checkpoint
from nas.storage.checkpoint_format import current_format
from nas.storage.checkpoint_retention import newest_valid_checkpoint
from nas.storage.json_file import parse_json
from nas.storage.safetensors_file import read_safetensors

SAFETENSORS_SUFFIX = ".safetensors"
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")  # where other programs put the weights, best first


@dataclass(frozen=True)
class StoredWeights:
    """Weights by name, on the CPU.

    ``description`` is what a retraining wrote about their network (:class:`nas.train.network_spec.NetworkSpec` as plain
    data, unchecked), None in files of other programs. ``key`` is where the weights were, "" for the whole file.
    """

    tensors: dict[str, Tensor]
    description: Any = None
    key: str = ""


def trained_file(path: Path) -> Path:
    """Return the newest intact checkpoint of a run folder, with a warning for damaged ones; a file as it is."""
    return newest_valid_checkpoint(path / CHECKPOINT) or path / CHECKPOINT if path.is_dir() else path


def read_weights(path: Path) -> StoredWeights:
    """Return the weights in a ``.safetensors`` file, a retraining's checkpoint, or what another program saved.

    That is a plain state dict, or one under ``state_dict``, ``model`` or their EMA (which is preferred). Raises
    :class:`InputError` for anything but plain tensors, and for tensors larger than the file: an expanded tensor stores
    a single number for any shape.
    """
    check_regular_file(path)
    if path.suffix == SAFETENSORS_SUFFIX:
        tensors, metadata = read_safetensors(path)
        text = current_format(dict(metadata)).get("network")
        found = StoredWeights(tensors, None if text is None else parse_json(text, f"{path}: network"))
    else:
        found = _of_checkpoint(load_checkpoint(path))
    weights = found.tensors
    if not _are_weights(weights):
        raise InputError(f"{path}: contains no network weights")
    if sum(tensor.numel() * tensor.element_size() for tensor in weights.values()) > path.stat().st_size:
        raise InputError(f"{path}: its weights claim to be larger than the file")
    return found


def _of_checkpoint(saved: dict[str, Any]) -> StoredWeights:
    saved = current_format(saved)
    if "network" in saved:  # ours
        return StoredWeights(saved.get("model"), saved["network"])  # type: ignore[arg-type]  # checked by read_weights
    key = next((key for key in _NESTED if isinstance(saved.get(key), Mapping)), "")
    return StoredWeights(saved[key] if key else saved, None, key)


def _are_weights(weights: Any) -> bool:
    return isinstance(weights, dict) and bool(weights) and all(map(_is_plain, weights, weights.values()))


def _is_plain(name: Any, tensor: Any) -> bool:
    dense = isinstance(tensor, Tensor) and tensor.layout is torch.strided and not tensor.is_quantized
    return isinstance(name, str) and dense and type(tensor) in (Tensor, torch.nn.Parameter)
