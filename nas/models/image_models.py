"""The image networks by name, with what the papers report: ``nas models``, ``create_model``, ``list_models``.

A further network is a function that returns an :class:`ImageNetwork`, and a line in a table below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from nas.core.registry import Registry
from nas.graph.zoo import list_cells
from nas.models.image_network import ImageNetwork
from nas.models.mobilenetv2 import mobilenetv2, mobilenetv2_two_depthwise, mobilenext_variant_c
from nas.models.mobilenext import mobilenext
from nas.models.mobilenext_se import mobilenext_se


@dataclass(frozen=True)
class ImageModel:
    """An image network, and a paper's figures: millions of parameters and multiply-adds at 224x224, top-1 in percent.

    ``remark`` says how the paper's figures relate to the exact ones, if not by rounding.
    """

    build: Callable[..., ImageNetwork]
    params: float
    macs: float
    top1: float
    remark: str = ""


MODELS: Registry[ImageModel] = Registry("model")

_BATCHNORM = "released: 2,560 more, never used"
_WIDTHS: tuple[tuple[str, float, tuple[Any, ...], tuple[Any, ...]], ...] = (  # arXiv 2007.02269, Table 3
    ("035", 0.35, (1.8, 80, 64.7), (1.7, 59, 60.3)),
    ("050", 0.5, (2.1, 110, 67.7), (2.0, 97, 65.4)),
    ("075", 0.75, (2.5, 210, 72.0, "2.5 M: no size"), (2.6, 150, 69.9, "150 M: 192x192")),
    ("100", 1.0, (3.4, 300, 74.0), (3.5, 300, 72.3)),
    ("140", 1.4, (6.1, 590, 76.1), (6.9, 690, 74.9, "690 M: 240x240")),
)
for _name, _width, _ours, _theirs in _WIDTHS:
    MODELS.register(f"mobilenext_{_name}", ImageModel(partial(mobilenext, _width), *_ours))
    MODELS.register(f"mobilenetv2_{_name}", ImageModel(partial(mobilenetv2, _width), *_theirs))
for _name, _model in {
    "mobilenext_100_variant_a": ImageModel(partial(mobilenext, variant="a"), 3.4, 240, 68.90, "Table 10, (a)"),
    "mobilenext_100_variant_b": ImageModel(partial(mobilenext, variant="b"), 3.4, 250, 70.11, "Table 10, (b)"),
    "mobilenext_100_variant_c": ImageModel(mobilenext_variant_c, 3.5, 300, 69.26, "Table 10, (c)"),
    "mobilenext_se_100": ImageModel(partial(mobilenext_se, 1.0), 3.94, 330, 76.05, _BATCHNORM),
    "mobilenext_se_110": ImageModel(partial(mobilenext_se, 1.1), 4.28, 420, 76.7, _BATCHNORM),
    "mobilenetv2_100_two_dw": ImageModel(mobilenetv2_two_depthwise, 3.6, 340, 73.02, "Table 5"),
}.items():
    MODELS.register(_name, _model)


def list_models(pattern: str = "*") -> list[str]:
    """Return the names that :func:`nas.create_model` takes and ``pattern`` matches: image networks, then cells.

    ``list_models("mobilenext_1*")``; ``*``, ``?`` and ``[…]`` are wildcards, as in file names.
    """
    return [name for name in (*sorted(MODELS), *list_cells()) if fnmatchcase(name, pattern)]
