"""``retrain.py init=…``: training that starts from the weights of another one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from nas.cli.config import RetrainConfig
from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT
from nas.core.terminal import print_lines
from nas.data.dataset import Dataset
from nas.graph.tuple_notation import format_tuple_notation
from nas.models.factory import load_weights
from nas.models.load_weights import read_weights, trained_file
from nas.storage.checkpoint_retention import newest_valid_checkpoint
from nas.train.network_spec import NetworkSpec, network_spec_from_dict


def apply_initial(config: RetrainConfig, overrides: Sequence[str]) -> RetrainConfig:
    """Return ``config`` with the cell and the sizes of the network in ``init``, except those that were typed.

    Raises :class:`InputError` for a file that cannot be read. A state dict of another program says nothing.
    """
    spec = None if config.init is None else _read_spec(Path(config.init))
    if spec is None:
        return config
    typed = {re.split(r"[=@]", override.lstrip("+~"))[0] for override in overrides}
    return replace(
        config,
        cell=config.cell if config.cell is not None else format_tuple_notation(spec.genotype),
        channels=config.channels if "channels" in typed else spec.channels,
        cells=config.cells if "cells" in typed else spec.cells,
        stem=config.stem if "stem" in typed else spec.stem,
    )


@dataclass(frozen=True)
class InitialWeights:
    """The weights that a training begins with, in a file, or in the checkpoint of the run that is continued."""

    path: Path
    resumed: bool

    def prepared_alike(self, dataset: Dataset) -> Dataset:
        """Return the dataset normalized as the images were on which the weights were trained.

        Raises :class:`InputError` for images of another kind: bytes or floats, and the number of channels.
        """
        spec = _read_spec(self.path)
        if spec is None:
            return dataset
        dtype = str(dataset.train.dtype).removeprefix("torch.")
        trained, given = (spec.image_dtype, spec.image_shape[0]), (dtype, dataset.image_shape[0])
        if trained != given:
            forms = [f"{kind} images of {channels} channels" for kind, channels in (trained, given)]
            raise InputError(f"init={self.path}: was trained on {forms[0]}; data={dataset.name} has {forms[1]}")
        return replace(dataset, mean=spec.mean, std=spec.std)

    def load(self, spec: NetworkSpec) -> dict[str, Tensor] | None:
        """Return the weights of the network of ``spec``, None for a run that is continued.

        The classifiers are new if the classes are others, even as many.
        """
        if self.resumed:
            return None
        network, stored = spec.build(), _read_spec(self.path)
        load_weights(network, self.path)
        if stored is not None and stored.classes != spec.classes:
            network.reset_classifier(len(spec.classes))
            print_lines(f"weights from {self.path}; new classifiers for {len(spec.classes)} other classes")
        else:
            print_lines(f"weights from {self.path}")
        return network.state_dict()


def initial_weights(config: RetrainConfig, resumed: Path | None, overrides: Sequence[str]) -> InitialWeights | None:
    """Return where a training's first weights come from; None: they are drawn at random.

    The folder of a run that is continued does not choose the file: its checkpoint is read, or ``init`` was typed again.
    """
    if config.init is None:
        return None
    if resumed is None or any(override.startswith("init=") for override in overrides):
        started = resumed is not None and newest_valid_checkpoint(resumed / CHECKPOINT) is not None
        return InitialWeights(resumed if started and resumed else Path(config.init), started)
    if newest_valid_checkpoint(resumed / CHECKPOINT) is None:
        raise InputError(f"{resumed}: has no checkpoint yet; repeat init={config.init}")
    return InitialWeights(resumed, True)


def _read_spec(path: Path) -> NetworkSpec | None:
    """Return what the file says about its network; None for a state dict of another program."""
    file = trained_file(path)
    description = read_weights(file).description
    return None if description is None else network_spec_from_dict(description, str(file))
