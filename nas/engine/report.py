"""What a finished search leaves: drawings, ``result.json``, and the cost of the network that retraining would build."""

import json
from pathlib import Path
from typing import Any

from nas.core.files import write_file
from nas.data.dataset import Dataset
from nas.engine.cost import Cost, cost
from nas.engine.search import SearchResult
from nas.graph.draw import Drawn, draw_genotype
from nas.graph.genotype import Genotype
from nas.graph.tuple_notation import format_tuple_notation
from nas.models.network import Network

RESULT = "result.json"
CHANNELS, CELLS = 36, 20  # of the network that DARTS retrains (arXiv 1806.09055, §A.2)


def network_cost(genotype: Genotype, num_classes: int, image_shape: tuple[int, int, int]) -> Cost:
    """The cost of the network that DARTS would retrain from the genotype: 36 channels, 20 cells."""
    return cost(Network(genotype, CHANNELS, CELLS, num_classes), image_shape)


def write_report(result: SearchResult, dataset: Dataset, folder: Path) -> tuple[Cost, Drawn]:
    """Draw both cells and write ``result.json`` into the run's folder."""
    found = network_cost(result.genotype, dataset.num_classes, dataset.image_shape)
    drawn = draw_genotype(result.genotype, folder)
    report: dict[str, Any] = {
        "genotype": format_tuple_notation(result.genotype),
        "epochs": result.epoch,
        "seconds": round(result.seconds, 1),
        "valid_accuracy": result.valid_accuracy,
        "network": {"channels": CHANNELS, "cells": CELLS, "params": found.params, "macs": found.macs},
    }
    write_file(folder / RESULT, json.dumps(report, indent=1).encode())
    return found, drawn
