"""Differentiable architecture search with super-operators.

The public names are loaded when they are first used, so that drawing a cell does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nas.core.thread_waiting import limit_spinning
from nas.core.version import __version__
from nas.graph.notebook import set_svg_drawing

if TYPE_CHECKING:
    from nas.cli.select import select_cells as select_cells
    from nas.core.errors import DivergedError as DivergedError
    from nas.core.errors import InputError as InputError
    from nas.costs.count import cost as cost
    from nas.data import AugmentSettings as AugmentSettings
    from nas.data import Dataset as Dataset
    from nas.data import list_datasets as list_datasets
    from nas.data import load_dataset as load_dataset
    from nas.data import register_dataset as register_dataset
    from nas.graph.genotype import Genotype as Genotype
    from nas.graph.genotype_yaml import save_genotype as save_genotype
    from nas.graph.notations import format_genotype as format_genotype
    from nas.graph.space import Space as Space
    from nas.graph.space_file import list_spaces as list_spaces
    from nas.graph.zoo import list_cells as list_cells
    from nas.graph.zoo import load_genotype as load_genotype
    from nas.models.edge_rule import EdgeRule as EdgeRule
    from nas.models.factory import create_model as create_model
    from nas.models.image_models import list_models as list_models
    from nas.models.network import Network as Network
    from nas.models.relaxation import Relaxation as Relaxation
    from nas.models.supernet import Supernet as Supernet
    from nas.ops import list_operators as list_operators
    from nas.ops import load_space as load_space
    from nas.ops import register_operator as register_operator
    from nas.plots.cell import draw as draw
    from nas.reports.runs import list_runs as list_runs
    from nas.reports.truth_score import score_run as score_run
    from nas.reports.truth_table import read_truth_table as read_truth_table
    from nas.search.api import run_search as run_search
    from nas.search.bilevel import architecture_gradients as architecture_gradients
    from nas.search.bilevel import weight_gradients as weight_gradients
    from nas.search.method import Method as Method
    from nas.search.method import Perturbation as Perturbation
    from nas.search.methods import list_methods as list_methods
    from nas.search.methods import register_method as register_method
    from nas.search.result import SearchResult as SearchResult
    from nas.train.api import TrainingResult as TrainingResult
    from nas.train.api import evaluate as evaluate
    from nas.train.api import run_training as run_training
    from nas.train.trained_model import TrainedModel as TrainedModel
    from nas.train.trained_model import load_model as load_model

_HOME = {
    "AugmentSettings": "nas.data",
    "Dataset": "nas.data",
    "DivergedError": "nas.core.errors",
    "EdgeRule": "nas.models.edge_rule",
    "Genotype": "nas.graph.genotype",
    "InputError": "nas.core.errors",
    "Method": "nas.search.method",
    "Network": "nas.models.network",
    "Perturbation": "nas.search.method",
    "Relaxation": "nas.models.relaxation",
    "SearchResult": "nas.search.result",
    "Space": "nas.graph.space",
    "Supernet": "nas.models.supernet",
    "TrainedModel": "nas.train.trained_model",
    "TrainingResult": "nas.train.api",
    "architecture_gradients": "nas.search.bilevel",
    "cost": "nas.costs.count",
    "create_model": "nas.models.factory",
    "draw": "nas.plots.cell",
    "evaluate": "nas.train.api",
    "format_genotype": "nas.graph.notations",
    "list_cells": "nas.graph.zoo",
    "list_datasets": "nas.data",
    "list_methods": "nas.search.methods",
    "list_models": "nas.models.image_models",
    "list_operators": "nas.ops",
    "list_runs": "nas.reports.runs",
    "list_spaces": "nas.graph.space_file",
    "load_dataset": "nas.data",
    "load_genotype": "nas.graph.zoo",
    "load_model": "nas.train.trained_model",
    "load_space": "nas.ops",
    "read_truth_table": "nas.reports.truth_table",
    "register_dataset": "nas.data",
    "register_method": "nas.search.methods",
    "register_operator": "nas.ops",
    "run_search": "nas.search.api",
    "run_training": "nas.train.api",
    "save_genotype": "nas.graph.genotype_yaml",
    "score_run": "nas.reports.truth_score",
    "select_cells": "nas.cli.select",
    "weight_gradients": "nas.search.bilevel",
}

__all__ = ["__version__", *sorted(_HOME)]


limit_spinning()  # before torch is loaded


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)


def _cells_svg(genotype: "Genotype") -> str:
    from nas.plots.cell import cells_svg

    return cells_svg(genotype)


set_svg_drawing(_cells_svg)
