"""Differentiable architecture search with super-operators.

The public names are loaded when they are first used, so that drawing a cell does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nas.core.version import __version__

if TYPE_CHECKING:
    from nas.costs.count import cost as cost
    from nas.graph.genotype import Genotype as Genotype
    from nas.graph.space import Space as Space
    from nas.graph.zoo import load_genotype as load_genotype
    from nas.models.factory import create_model as create_model
    from nas.models.network import Network as Network
    from nas.models.supernet import Supernet as Supernet
    from nas.ops.registry import list_operators as list_operators
    from nas.ops.registry import load_space as load_space
    from nas.ops.registry import register_operator as register_operator
    from nas.search.bilevel import architecture_gradients as architecture_gradients

_HOME = {
    "Genotype": "nas.graph.genotype",
    "Network": "nas.models.network",
    "Space": "nas.graph.space",
    "Supernet": "nas.models.supernet",
    "architecture_gradients": "nas.search.bilevel",
    "cost": "nas.costs.count",
    "create_model": "nas.models.factory",
    "list_operators": "nas.ops",
    "load_genotype": "nas.graph.zoo",
    "load_space": "nas.ops",
    "register_operator": "nas.ops",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
