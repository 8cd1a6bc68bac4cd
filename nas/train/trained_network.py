"""Trained networks in files: a training's checkpoint, or its weights as safetensors. Both are self-contained."""

from pathlib import Path

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.json_text import format_json
from nas.models.load_weights import read_weights, trained_file
from nas.models.network import Network
from nas.storage.atomic_files import write_file
from nas.train.network_spec import NetworkSpec, network_spec_from_dict


def load_trained(path: Path) -> tuple[Network, NetworkSpec]:
    """Return the network in a training's ``.pt`` or ``.safetensors`` file, on the CPU and in evaluation mode.

    In a run's folder it is that of the newest whole checkpoint, with a warning for newer ones that are damaged. No
    code is run from the file. Raises :class:`InputError` for a file that is missing, altered, cut off or of another
    kind, and for operators that are not registered.
    """
    path = trained_file(path)
    stored = read_weights(path)
    weights, spec = stored.tensors, network_spec_from_dict(stored.description, str(path))
    try:
        _check_sizes(spec, weights)
        network = spec.build()
        network.load_state_dict(weights)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except RuntimeError as error:
        raise InputError(f"{path}: its weights do not fit its network: {str(error).splitlines()[0]}") from error
    return network.eval(), spec


def save_weights(path: Path, network: Network, spec: NetworkSpec) -> None:
    """Write the network's weights as safetensors, with its spec as JSON in the metadata."""
    import safetensors.torch  # a search does not need it

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_file(path, safetensors.torch.save(tensors, {"network": format_json(spec.to_dict())}))


def _check_sizes(spec: NetworkSpec, weights: dict[str, Tensor]) -> None:
    """Raise :class:`InputError` if the spec's network has other shapes than the weights, without allocating it."""
    if spec.cells > len(weights):  # each has several; building them could take forever
        raise InputError(f"its weights do not fit its network: {len(weights)} of them for {spec.cells} cells")
    with torch.device("meta"):
        wanted = spec.build().state_dict()
    for name, tensor in wanted.items():
        if name not in weights or weights[name].shape != tensor.shape:
            raise InputError(f"its weights do not fit its network, see {name}")
