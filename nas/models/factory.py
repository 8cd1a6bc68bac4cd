"""Networks by cell name, with the interface of timm: ``create_model``, ``pretrained``, ``features_only``."""

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.genotype import Genotype
from nas.graph.zoo import load_genotype
from nas.models.load_weights import read_weights, trained_file
from nas.models.network import Network

_HEADS = ("classifier.", "auxiliary_head.")


class Backbone(nn.Module):
    """A network without its classifier: images (B, in_chans, H, W) -> the features at the end of each stage.

    ``channels`` lists the channels of each stage's features.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.network.classifier = nn.Identity()  # type: ignore[assignment]  # no untrained weights left behind
        self.channels = network.stage_channels

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (B, in_chans, H, W) to the features (B, channels[i], H_i, W_i) of each stage i."""
        return self.network.feature_maps(x)


def create_model(
    cell: str | os.PathLike[str] | Genotype,
    num_classes: int = 10,
    *,
    channels: int = 36,
    cells: int = 20,
    stem: str = "cifar",
    auxiliary: bool = False,
    in_chans: int = 3,
    pretrained: str | Path | None = None,
    features_only: bool = False,
) -> Network | Backbone:
    """Return the network of a cell (a name, a file, a run folder, tuple notation): ``create_model("darts_v2")``.

    ``in_chans`` is the number of channels of an image. ``pretrained`` holds weights: the run folder, a checkpoint or
    the ``.safetensors`` of a retraining with the same cell, channels, cells, stem and in_chans. Its classifier is
    skipped if it has another number of classes. With ``features_only`` the result is a :class:`Backbone`. Raises
    :class:`InputError` for unknown cells and for weights that do not fit.
    """
    network = Network(load_genotype(cell), channels, cells, num_classes, auxiliary, stem, in_chans)
    if pretrained is not None:
        load_weights(network, Path(pretrained))
    return Backbone(network) if features_only else network


def load_weights(network: Network, path: Path) -> None:
    """Copy the weights in ``path`` into ``network``; :func:`create_model` says what may differ."""
    weights, state = read_weights(trained_file(path)), network.state_dict()
    other_classes = weights.get("classifier.bias", torch.empty(0)).shape != state["classifier.bias"].shape
    for name in [name for name in weights if name.startswith(_HEADS)]:
        if other_classes or name not in state:
            del weights[name]
    missing = [name for name in state if name not in weights and not name.startswith(_HEADS)]
    unexpected = [name for name in weights if name not in state]
    mismatched = [name for name in weights if name in state and weights[name].shape != state[name].shape]
    if missing or unexpected or mismatched:
        first = format_value((missing or unexpected or mismatched)[0])
        raise InputError(
            f"{path}: weights of another network, see {first}; cell, channels, cells, stem and in_chans must agree"
        )
    network.load_state_dict(state | weights)
