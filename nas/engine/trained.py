"""A trained network in a file: a checkpoint of a retraining, or its weights as safetensors. Both stand alone."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nas.core.checkpoint import load_checkpoint
from nas.core.errors import InputError
from nas.core.files import write_file
from nas.engine.blueprint import Blueprint, blueprint_from_dict
from nas.models.network import Network

FORMAT = 1
SUFFIX = ".safetensors"


def load_trained(path: Path) -> tuple[Network, Blueprint]:
    """The network in a ``.pt`` or ``.safetensors`` file of a retraining, on the CPU and in evaluation mode.

    No code is run from the file. Raises :class:`InputError` for a file that is missing, altered, cut off or of
    another kind, and for operators that are not registered.
    """
    weights, data = _read_weights(path) if path.suffix == SUFFIX else _read_checkpoint(path)
    blueprint = blueprint_from_dict(data, str(path))
    try:
        network = blueprint.build()
        network.load_state_dict(weights)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except RuntimeError as error:
        raise InputError(f"{path}: its weights do not fit its network: {str(error).splitlines()[0]}") from error
    return network.eval(), blueprint


def save_weights(path: Path, network: Network, blueprint: Blueprint) -> None:
    """Write the network's weights as safetensors, its blueprint (JSON) in their metadata."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_file(path, safetensors.torch.save(tensors, {"blueprint": json.dumps(blueprint.to_dict())}))


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Any]:
    saved = load_checkpoint(path)
    if saved.get("format") != FORMAT or "weights" not in saved:
        raise InputError(f"{path}: not a retraining's checkpoint of format {FORMAT}")
    return saved["weights"], saved.get("blueprint")


def _read_weights(path: Path) -> tuple[dict[str, Tensor], Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return weights, json.loads((file.metadata() or {}).get("blueprint", "null"))
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a safetensors file, or cut off or altered since it was written") from error
