"""Networks by name, for people who only want the network; names and habits are those of timm."""

from pathlib import Path

import torch
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.zoo import load_genotype
from nas.models.load_weights import read_weights
from nas.models.network import Network

HEADS = ("classifier.", "auxiliary_head.")


class Backbone(nn.Module):
    """A network without its classifier: images (B, 3, H, W) -> the features at the end of each stage.

    ``channels`` are those of each stage's features.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.network.classifier = nn.Identity()  # type: ignore[assignment]  # no weights that nothing trains
        self.channels = network.stage_channels

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> (B, channels[i], H_i, W_i) of each stage."""
        return self.network.feature_maps(x)


def create_model(
    cell: str,
    num_classes: int = 10,
    *,
    channels: int = 36,
    cells: int = 20,
    stem: str = "cifar",
    auxiliary: bool = False,
    pretrained: str | Path | None = None,
    features_only: bool = False,
) -> Network | Backbone:
    """The network of a cell (a name in ``cells/``, a file, tuple notation): ``create_model("darts_v2")``.

    ``pretrained`` is a file of weights: a checkpoint or the ``.safetensors`` of a retraining with the same cell,
    channels and cells. Its classifier is left out where it has another number of classes. ``features_only`` gives a
    :class:`Backbone`. Raises :class:`InputError` for unknown cells and for weights that do not fit.
    """
    network = Network(load_genotype(cell), channels, cells, num_classes, auxiliary, stem)
    if pretrained is not None:
        load_weights(network, Path(pretrained))
    return Backbone(network) if features_only else network


def load_weights(network: Network, path: Path) -> None:
    """Copy the weights in ``path`` into ``network``; see :func:`create_model` for what may differ."""
    found, wanted = read_weights(path), network.state_dict()
    other_classes = found.get("classifier.bias", torch.empty(0)).shape != wanted["classifier.bias"].shape
    for name in [name for name in found if name.startswith(HEADS)]:
        if other_classes or name not in wanted:
            del found[name]
    missing = [name for name in wanted if name not in found and not name.startswith(HEADS)]
    unknown = [name for name in found if name not in wanted]
    odd = [name for name in found if name in wanted and found[name].shape != wanted[name].shape]
    if missing or unknown or odd:
        first = format_value((missing or unknown or odd)[0])
        raise InputError(f"{path}: weights of another network, see {first}; cell, channels, cells and stem must agree")
    network.load_state_dict(wanted | found)
