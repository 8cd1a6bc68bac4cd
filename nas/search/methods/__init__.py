"""The search methods, one file each; importing the package registers the built-in ones."""

from nas.search.methods import (  # noqa: F401 they register
    a2m,
    beta_darts,
    darts,
    darts_minus,
    darts_pt,
    drnas,
    evolution,
    fair_darts,
    gaea,
    gdas,
    hessian_stop,
    levels,
    oles,
    pc_darts,
    random_search,
    sdarts,
    sgas,
    skip_stop,
    snas,
)
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
