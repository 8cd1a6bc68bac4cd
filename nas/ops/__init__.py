"""The operators, one file per family; importing the package registers the built-in ones."""

from nas.ops import blocks, conv, inverted_residual, pool, sandglass, separable, skip, variants  # noqa: F401 they register
from nas.ops.registry import list_operators, load_space, operators, register_operator, register_operator_family

__all__ = [
    "blocks",
    "list_operators",
    "load_space",
    "operators",
    "register_operator",
    "register_operator_family",
]
