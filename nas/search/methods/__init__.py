"""The search methods, one file each; importing the package registers the built-in ones."""

from nas.search.methods import darts, gdas, pc_darts  # noqa: F401 they register
from nas.search.methods.registry import (
    build_method,
    list_methods,
    method_files,
    method_names,
    method_settings,
    methods,
    register_method,
)

__all__ = [
    "build_method",
    "list_methods",
    "method_files",
    "method_names",
    "method_settings",
    "methods",
    "register_method",
]
