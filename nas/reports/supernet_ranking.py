"""Kendall's tau between a supernet's ranking of cells, with the weights that they inherit, and the true one."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from nas.core.dataclass_config import build
from nas.core.errors import InputError
from nas.data import load_dataset
from nas.data.dataset import Dataset
from nas.data.settings import DataSettings
from nas.graph.arch_string import parse_arch_string
from nas.ops import load_space
from nas.reports.run_folder import read_config
from nas.reports.truth_table import TruthTable
from nas.search.inherited import inherited_accuracies, load_search_state
from nas.search.settings import SearchSettings


class SupernetRankings:
    """Rankings of the same ``number`` cells of ``table`` by several searches; images are read once for all of them.

    ``images``: of the alphas' half, None: all. ``data`` are settings of the images that replace those of the runs.
    """

    def __init__(
        self, table: TruthTable, number: int, *, images: int | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        if number < 2:
            raise InputError(f"sample={number}: must be at least 2")
        if images is not None and images < 1:
            raise InputError(f"images={images}: must be at least 1")
        self.cells = table.sample(number)
        self.truth = [table.accuracies[cell] for cell in self.cells]
        self.images, self.data = images, dict(data or {})
        self._datasets: dict[DataSettings, Dataset] = {}

    def tau(self, folder: Path) -> float | None:
        """Return tau-b for the search in ``folder``; None if the supernet ranks all cells equally or has no ranking.

        Raises :class:`InputError` if the folder has no checkpoint of a search from the command line.
        """
        from scipy import stats  # takes a while to import

        found = list(self.accuracies(folder))
        value = float(stats.kendalltau(found, self.truth).statistic) if found else math.nan
        return None if math.isnan(value) else value

    def accuracies(self, folder: Path) -> Iterator[float]:
        """Yield the accuracy (0..1) of each of ``cells`` with the weights of the search's last checkpoint.

        Nothing is yielded for a search that trains each cell by itself.
        """
        config = read_config(folder)
        names = {field.name for field in fields(SearchSettings)}
        settings = build(SearchSettings, {key: value for key, value in config.items() if key in names})
        dataset = self._dataset(build(DataSettings, {**config.get("data", {}), **self.data}, "data."))
        state = load_search_state(folder, load_space(config["space"]), settings, dataset)
        cells = [parse_arch_string(cell) for cell in self.cells]
        if state.method.judged is not None:
            return iter(())
        return inherited_accuracies(state, settings, dataset, cells, self.images)

    def _dataset(self, settings: DataSettings) -> Dataset:
        if settings not in self._datasets:
            self._datasets[settings] = load_dataset(settings)
        return self._datasets[settings]
