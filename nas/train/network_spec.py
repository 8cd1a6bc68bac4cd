"""The description of a trained network that a checkpoint carries besides the weights."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.shell_quoting import quote_setting
from nas.data.dataset import Dataset
from nas.data.fingerprint import dataset_fingerprint
from nas.data.pixels import ByChannel
from nas.data.preparation import Preparation, preparation_from_dict
from nas.engine.fingerprint import check_fingerprint, operators_fingerprint
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import genotype_from_yaml, genotype_to_yaml
from nas.models.network import Network
from nas.train.network_spec_checks import check_network_spec
from nas.train.settings import TrainSettings

_LATER_FIELDS = {"fingerprint", "image_dtype", "preparation", "loss"}  # older files lack them


@dataclass(frozen=True)
class NetworkSpec:
    """A network's genotype and sizes, and the images that it was trained on.

    ``mean`` and ``std`` (by channel) normalize an image of ``image_shape`` (C, H, W); with the ``image_dtype`` uint8
    they are in units of 0..1 and the image is divided by 255 first, with float32 it is taken as it is. ``ops`` is the
    path, as given, of the file whose operators the genotype may use; it appears in messages and is never executed.
    ``preparation`` says how image files become images; None: unknown, as in older files, or they were no files.
    """

    genotype: Genotype
    channels: int
    cells: int
    stem: str
    auxiliary: bool
    dataset: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: ByChannel
    std: ByChannel
    ops: str | None = field(default=None, compare=False)
    fingerprint: Mapping[str, str] = field(default_factory=dict, compare=False)  # of the training
    image_dtype: str = "uint8"  # or float32
    loss: str = "cross_entropy"  # by which the outputs are to be read: logits of classes, marks, or numbers
    preparation: Preparation | None = field(default=None, compare=False)  # in the fingerprint of a run, too

    def __post_init__(self) -> None:
        check_network_spec(vars(self))

    def build(self) -> Network:
        """Return the network with fresh weights; raise :class:`InputError` for an operator that is not registered."""
        try:
            sizes = (self.channels, self.cells, len(self.classes))
            return Network(self.genotype, *sizes, self.auxiliary, self.stem, in_chans=self.image_shape[0])
        except InputError as error:
            hint = (
                f" (its operators came from a file; to trust it, add {quote_setting('ops', self.ops)} or --ops)"
                if self.ops
                else ""
            )
            raise InputError(f"{error}{hint}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: text, numbers and tuples of them."""
        preparation = None if self.preparation is None else self.preparation.to_dict()
        return {**asdict(self), "genotype": genotype_to_yaml(self.genotype), "preparation": preparation}

    def check_same(self, other: "NetworkSpec", where: str) -> None:
        """Raise :class:`InputError` with the first thing in which ``other``, found at ``where``, differs."""
        for key in (f.name for f in fields(self) if f.compare):
            mine, theirs = getattr(self, key), getattr(other, key)
            if mine != theirs:
                values = "" if key == "genotype" else f" ({format_value(theirs)}, not {format_value(mine)})"
                raise InputError(f"{where}: does not fit this training, its {key} is another{values}")


def check_spec_fingerprint(
    spec: NetworkSpec, where: str, accepted: Collection[str], dataset: Dataset | None = None
) -> None:
    """Raise :class:`InputError` if operators, or the test images of the same ``dataset``, changed since the training.

    ``accepted``: see :func:`nas.engine.fingerprint.check_fingerprint`.
    """
    current = operators_fingerprint(spec.genotype.operators())
    ignored = ["space", "kernels", "torch", "data.train", "data.augmentation"]
    if dataset is not None and dataset.name == spec.dataset:
        current |= dataset_fingerprint(dataset)
    else:
        ignored.append("data")
    check_fingerprint(spec.fingerprint, current, where, accepted, ignored)


def check_test_images(spec: NetworkSpec, dataset: Dataset, where: Path) -> None:
    """Raise :class:`InputError` unless the test images have the classes and the form that the network was trained on.

    The error begins with ``where``, the file of the network.
    """
    if dataset.test is None:
        raise InputError(f"{where}: data={dataset.name} has no test images")
    if dataset.classes != spec.classes:
        raise InputError(f"{where}: was trained on {spec.dataset}; data={dataset.name} has other classes")
    trained, given = spec.image_shape, dataset.image_shape
    if trained[0] != given[0]:
        raise InputError(f"{where}: was trained on images with {trained[0]} channels, these have {given[0]}")
    if trained != given:
        sizes = f"was trained on images of {trained[1]}x{trained[2]}, these are {given[1]}x{given[2]}"
        raise InputError(f"{where}: {sizes}; resize them to NxN with data.size=N")
    if None not in (spec.preparation, dataset.preparation) and spec.preparation != dataset.preparation:
        how = f"was trained on images that were {spec.preparation}; these are {dataset.preparation}"
        raise InputError(f"{where}: {how}")
    dtype = str(dataset.test.dtype).removeprefix("torch.")
    if dtype != spec.image_dtype:
        raise InputError(f"{where}: was trained on {spec.image_dtype} images, these are {dtype}")


def make_network_spec(
    genotype: Genotype, dataset: Dataset, settings: TrainSettings, ops: str | None = None
) -> NetworkSpec:
    """Return the spec of the network that ``settings`` train on ``dataset``."""
    return NetworkSpec(
        genotype,
        settings.channels,
        settings.cells,
        settings.stem,
        settings.auxiliary,
        dataset.name,
        dataset.classes,
        dataset.image_shape,
        dataset.mean,
        dataset.std,
        ops,
        image_dtype=str(dataset.train.dtype).removeprefix("torch."),
        preparation=dataset.preparation,
        loss=settings.loss,
    )


def network_spec_from_dict(data: object, where: str) -> NetworkSpec:
    """Return the spec that :meth:`NetworkSpec.to_dict` wrote; an :class:`InputError` for other data names ``where``."""
    names = {f.name for f in fields(NetworkSpec)}
    if not isinstance(data, Mapping) or not names - _LATER_FIELDS <= set(data) <= names:
        raise InputError(f"{where}: not a trained network: the description of the network is missing")
    if not isinstance(data["genotype"], str):
        raise InputError(f"{where}: not a trained network: its genotype is {format_value(data['genotype'])}")
    genotype = genotype_from_yaml(data["genotype"], where)
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    values["genotype"] = genotype
    try:
        if values.get("preparation") is not None:
            values["preparation"] = preparation_from_dict(data["preparation"])
        return NetworkSpec(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
