"""The result of a search: drawings, ``result.json``, and the cost of the network that retraining would build."""

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from nas.core.formatting import format_plural
from nas.costs.count import Cost, network_cost, retrained_sizes
from nas.engine.run_result import FINISHED, write_result
from nas.graph.genotype import Genotype
from nas.graph.notebook import genotype_svg
from nas.graph.tuple_notation import format_tuple_notation
from nas.models.network import Network
from nas.models.supernet import Supernet
from nas.plots.cell import Drawing, draw_genotype
from nas.plots.drawing_style import DrawingStyle
from nas.plots.edge_width import edge_widths
from nas.runtime.progress import duration
from nas.search.settled import Settledness


@dataclass(frozen=True)
class SearchResult:
    """The state of a search at its end, or when it was stopped.

    ``genotype`` is derived from the alphas of ``supernet``; the files of the run are in ``folder``. ``epoch`` epochs
    and ``step`` steps of the next one were done in ``seconds`` over all sessions. ``valid_accuracy`` (0..1) is that of
    the supernet on the alphas' images after the last whole epoch, and ``settledness`` says how firmly the genotype was
    chosen by then. The images (C, H, W) have ``num_classes`` classes.
    """

    genotype: Genotype
    finished: bool
    epoch: int
    step: int
    seconds: float
    valid_accuracy: float | None
    folder: Path
    supernet: Supernet = field(repr=False)
    image_shape: tuple[int, int, int]
    num_classes: int
    settledness: Settledness

    def network(self, channels: int | None = None, cells: int | None = None, **options: Any) -> Network:
        """Return the network of the genotype with fresh weights, for the images and classes of the search.

        It maps (B, C, H, W) to (B, num_classes). Without ``channels`` and ``cells`` it has the sizes that are usually
        retrained: 36 channels and 20 cells for DARTS' cells. ``options`` are further arguments of ``nas.Network``:
        ``stem`` and ``auxiliary``. Raises :class:`InputError` for sizes below 1.
        """
        usual = retrained_sizes(self.genotype)
        sizes = (usual[0] if channels is None else channels, usual[1] if cells is None else cells, self.num_classes)
        return Network(self.genotype, *sizes, in_chans=self.image_shape[0], **options)

    def _repr_html_(self) -> str:
        """Return the genotype's drawing with a line of figures, for notebooks."""
        accuracy = "" if self.valid_accuracy is None else f", valid accuracy {self.valid_accuracy:.2%}"
        state = "" if self.finished else ", not finished"
        text = f"{format_plural(self.epoch, 'epoch')} in {duration(self.seconds)}{accuracy}{state}; {self.folder}"
        return f"<p>{escape(text)}</p>{genotype_svg(self.genotype) or ''}"


def write_search_result(result: SearchResult, folder: Path) -> tuple[Cost, Drawing]:
    """Write ``result.json`` into the run's folder, and draw all cells there."""
    found = network_cost(result.genotype, result.num_classes, result.image_shape)
    channels, cells = retrained_sizes(result.genotype)
    network = {"channels": channels, "cells": cells, "params": found.params, "macs": found.macs}
    figures = {"genotype": format_tuple_notation(result.genotype), **found_figures(result), "network": network}
    origin = result.genotype.origin
    source = search_origin(origin.space, origin.method or "darts", origin.dataset, origin.seed)
    write_result(folder, FINISHED, source, figures)
    space = result.supernet.space
    strengths = {kind: values.detach().tolist() for kind, values in result.supernet.strengths().items()}
    style = DrawingStyle(widths=edge_widths(result.genotype, strengths, space))
    return found, draw_genotype(result.genotype, folder, style=style)


def search_origin(space: str, method: str, data: str, seed: int | None) -> dict[str, Any]:
    """Return what the result of a search is the result of."""
    return {"kind": "search", "space": space, "method": method, "data": data, "seed": seed}


def found_figures(result: SearchResult) -> dict[str, Any]:
    """Return what has come out of a search so far."""
    figures = {"epochs": result.epoch, "seconds": round(result.seconds, 1), "valid_accuracy": result.valid_accuracy}
    return {**figures, **result.settledness.to_dict()}
