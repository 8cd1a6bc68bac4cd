"""Networks by cell name, with the interface of timm: ``create_model``, ``pretrained``, ``features_only``."""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import nearest
from nas.core.terminal import print_warning
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import genotype_from_yaml
from nas.graph.zoo import load_genotype
from nas.models.image_models import MODELS
from nas.models.image_network import ImageNetwork
from nas.models.load_weights import read_weights, trained_file
from nas.models.network import Network
from nas.models.weight_names import own_names

_HEADS = ("classifier.", "auxiliary_head.")


class Backbone(nn.Module):
    """A network without its classifier: images (B, in_chans, H, W) -> the features at the end of each stage.

    ``out_indices`` chooses stages, negative ones from the end. ``channels`` lists the channels of each chosen stage's
    features. Raises :class:`InputError` for a stage that the network does not have.
    """

    def __init__(self, network: Network | ImageNetwork, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        stages = len(network.stage_channels)
        chosen = range(stages) if out_indices is None else out_indices
        if wrong := [index for index in chosen if not -stages <= index < stages]:
            raise InputError(f"out_indices={wrong[0]}: the network has the stages 0 to {stages - 1}")
        self.network = network
        self.network.classifier = nn.Identity()  # no untrained weights left behind
        self.out_indices = tuple(index % stages for index in chosen)
        self.channels = tuple(network.stage_channels[index] for index in self.out_indices)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (B, in_chans, H, W) to the features (B, channels[i], H_i, W_i) of each chosen stage i."""
        maps = self.network.feature_maps(x)
        return [maps[index] for index in self.out_indices]


def create_model(
    model: str | os.PathLike[str] | Genotype,
    num_classes: int | None = None,
    *,
    in_chans: int = 3,
    pretrained: str | Path | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    **options: Any,
) -> Network | ImageNetwork | Backbone:
    """Return an image network by name, ``create_model("mobilenext_100")``, or the network of a cell.

    The image networks, ``nas.list_models()``, have 1000 classes by default, and take ``drop_rate``, ``global_pool``,
    and what their functions take besides, such as ``identity="1/2"``; they take no ``pretrained`` yet. A cell is a
    name, a file, a run folder or tuple notation, ``create_model("darts_v2")``; its network has 10 classes by default,
    and takes ``channels`` (36), ``cells`` (20), ``stem`` ("cifar") and ``auxiliary`` (False).

    ``in_chans`` is the number of channels of an image. ``pretrained`` holds weights of a cell's network: the run
    folder, a checkpoint or the ``.safetensors`` of a retraining with the same cell, channels, cells, stem and in_chans;
    or a state dict of another program (also under ``state_dict``, ``model`` or their EMA, with ``module.`` in front,
    with the names of DARTS' released code), which is checked by names and shapes alone. The classifier is skipped if it
    has another number of classes. With ``features_only`` the result is a :class:`Backbone` of the stages
    ``out_indices``. Raises :class:`InputError` for unknown names and options, and for weights that do not fit.
    """
    if out_indices is not None and not features_only:
        raise InputError(f"out_indices={out_indices}: needs features_only=True")
    build: Callable[..., Network | ImageNetwork] = partial(_cell_network, model)
    usual_classes = 10
    if isinstance(model, str) and model in MODELS:
        if pretrained is not None:
            raise InputError(f"pretrained={pretrained}: not for {model}; weights: model.load_state_dict(…)")
        build, usual_classes = MODELS[model].build, 1000
    _check_options(str(model), build, options)
    classes = usual_classes if num_classes is None else num_classes
    network = build(in_chans=in_chans, num_classes=classes, **options)
    if pretrained is not None:
        assert isinstance(network, Network)
        load_weights(network, Path(pretrained))
    return Backbone(network, out_indices) if features_only else network


def _cell_network(
    cell: str | os.PathLike[str] | Genotype,
    num_classes: int,
    in_chans: int,
    channels: int = 36,
    cells: int = 20,
    stem: str = "cifar",
    auxiliary: bool = False,
) -> Network:
    return Network(load_genotype(cell), channels, cells, num_classes, auxiliary, stem, in_chans)


def _check_options(name: str, build: Callable[..., object], options: Iterable[str]) -> None:
    """Raise :class:`InputError` for an option that ``build`` does not have."""
    parameters = inspect.signature(build).parameters
    known = [key for key, value in parameters.items() if value.kind is not value.VAR_KEYWORD]
    known += ["num_classes", "drop_rate", "global_pool"] if len(known) < len(parameters) else []
    for key in options:
        if key not in known:
            raise InputError(f"{name}: unknown option {key!r}: {nearest(key, known)}")


def load_weights(network: Network, path: Path) -> None:
    """Copy the weights in ``path`` into ``network``; :func:`create_model` says what may differ.

    What the file says about its network is compared; a file that says nothing is loaded with a line that says so.
    """
    path = trained_file(path)
    stored = read_weights(path)
    weights, state = own_names(stored.tensors), network.state_dict()
    if stored.description is not None:
        _check_description(network, stored.description, path)
    other_classes = weights.get("classifier.bias", torch.empty(0)).shape != state["classifier.bias"].shape
    for name in [name for name in weights if name.startswith(_HEADS)]:
        if other_classes or name not in state:
            del weights[name]
    optional = (*_HEADS, *([] if stored.description is not None else [".num_batches_tracked"]))
    missing = [name for name in state if name not in weights and not _is_optional(name, optional)]
    unexpected = [name for name in weights if name not in state]
    mismatched = [name for name in weights if name in state and weights[name].shape != state[name].shape]
    if missing or unexpected or mismatched:
        first = format_value((missing or unexpected or mismatched)[0])
        raise InputError(
            f"{path}: weights of another network, see {first}; cell, channels, cells, stem and in_chans must agree"
        )
    if stored.description is None:
        place = f", those under {format_value(stored.key)}," if stored.key else ""
        print_warning(f"{path}: the weights{place} fit by name and shape; the file does not say of which cell they are")
    network.load_state_dict(state | weights)


def _is_optional(name: str, optional: tuple[str, ...]) -> bool:
    return any(name.startswith(part) or name.endswith(part) for part in optional)


def _check_description(network: Network, description: object, path: Path) -> None:
    """Raise :class:`InputError` if a file's weights are of a network with another genotype, stem or sizes."""
    fields = description if isinstance(description, Mapping) else {}
    if not isinstance(fields.get("genotype"), str):
        raise InputError(f"{path}: not a trained network: its genotype is {format_value(fields.get('genotype'))}")
    trained = genotype_from_yaml(fields["genotype"], str(path))
    if trained != network.genotype:
        name = f" ({format_value(trained.name)})" if trained.name else ""
        raise InputError(f"{path}: weights of another genotype{name}; nas.load_model({str(path)!r}) builds its network")
    shape = fields.get("image_shape")
    sizes = {
        "channels": (fields.get("channels"), network.sizes.channels),
        "cells": (fields.get("cells"), network.sizes.cells),
        "stem": (fields.get("stem"), network.sizes.stem),
        "in_chans": (shape[0] if isinstance(shape, list | tuple) and shape else None, network.sizes.in_chans),
    }
    for key, (theirs, ours) in sizes.items():
        if theirs != ours:
            raise InputError(
                f"{path}: weights of another network, with {key}={format_value(theirs)}, not {format_value(ours)}"
            )
