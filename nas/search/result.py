"""The result of a search: drawings, ``result.json``, and the cost of the network that retraining would build."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.run_files import RESULT
from nas.costs.count import Cost, network_cost, retrained_sizes
from nas.data.dataset import Dataset
from nas.graph.genotype import Genotype
from nas.graph.tuple_notation import format_tuple_notation
from nas.plots.cell import Drawing, draw_genotype
from nas.storage.atomic_files import write_file


@dataclass(frozen=True)
class SearchResult:
    """The state of a search at its end, or when it was stopped."""

    genotype: Genotype
    finished: bool
    epoch: int
    step: int
    seconds: float  # over all sessions
    valid_accuracy: float | None  # of the last epoch (0..1)


def write_search_result(result: SearchResult, dataset: Dataset, folder: Path) -> tuple[Cost, Drawing]:
    """Draw all cells and write ``result.json`` into the run's folder."""
    found = network_cost(result.genotype, dataset.num_classes, dataset.image_shape)
    channels, cells = retrained_sizes(result.genotype)
    drawn = draw_genotype(result.genotype, folder)
    report: dict[str, Any] = {
        "genotype": format_tuple_notation(result.genotype),
        "epochs": result.epoch,
        "seconds": round(result.seconds, 1),
        "valid_accuracy": result.valid_accuracy,
        "network": {"channels": channels, "cells": cells, "params": found.params, "macs": found.macs},
    }
    write_file(folder / RESULT, json.dumps(report, indent=1).encode())
    return found, drawn
