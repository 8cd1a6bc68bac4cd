"""Configurations of the commands: one frozen dataclass per command, with the keys of its ``conf/*.yaml``."""

import hashlib
import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from nas.core.errors import InputError
from nas.core.run_names import with_method
from nas.core.validation import require
from nas.data.settings import DataSettings
from nas.engine.fault_tolerance import FaultTolerance
from nas.graph.genotype import Genotype
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import load_genotype
from nas.runtime.signals import WARNINGS
from nas.search.settings import SearchSettings
from nas.train.settings import TrainSettings

Settings = TypeVar("Settings", SearchSettings, TrainSettings, FaultTolerance)


@dataclass(frozen=True)
class RunSettings:
    """The folder for the run's files; null: under ``runs/``, named after the cell or space, data and seed."""

    dir: str | None


@dataclass(frozen=True, kw_only=True)
class RunConfig(FaultTolerance, ABC):
    """Settings common to all runs; a command's configuration adds those of its engine."""

    data: DataSettings
    ops: str | None
    seed: int
    device: str
    threads: int | None
    max_minutes: float | None
    resume: bool | str
    run: RunSettings
    warning_signal: str | None = field(default="USR1", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings  # noqa: B018 - validates them before any work starts
        if self.max_minutes is not None:
            require("max_minutes", self.max_minutes, self.max_minutes > 0, "must be above 0, or null")
        if self.threads is not None:
            cores = os.cpu_count() or 1
            require("threads", self.threads, 1 <= self.threads <= cores, f"must lie in 1..{cores}, or be null")
        known = self.warning_signal is None or self.warning_signal in WARNINGS
        require("warning_signal", self.warning_signal, known, f"must be {', '.join(WARNINGS)}, or null")

    @property
    @abstractmethod
    def settings(self) -> object:
        """The engine's settings."""

    @property
    def fault_tolerance(self) -> FaultTolerance:
        """The settings of checkpoints and of recovery from non-finite steps."""
        return _select(FaultTolerance, self)

    @property
    @abstractmethod
    def title(self) -> str:
        """The name of the run's folder, without data and seed."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig(RunConfig, SearchSettings):
    """``conf/search.yaml``, resolved."""

    space: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.data.check_in_memory()

    @property
    def settings(self) -> SearchSettings:
        """The engine's settings."""
        return _select(SearchSettings, self)

    @property
    def title(self) -> str:
        """The names of the spaces, and of the method if it is not DARTS."""
        spaces = "+".join(Path(part).stem for part in self.space.split("+"))
        return with_method(spaces, re.sub(r"[^\w.+-]+", "_", self.method))


@dataclass(frozen=True, kw_only=True)
class RetrainConfig(RunConfig, TrainSettings):
    """``conf/retrain.yaml``, resolved."""

    cell: str | None
    init: str | None = None  # runs from before it was a setting resume without it
    eval: str | None
    output: str | None

    @property
    def settings(self) -> TrainSettings:
        """The engine's settings."""
        return _select(TrainSettings, self)

    @property
    def genotype(self) -> Genotype:
        """The cell to train; raises :class:`InputError` if none is given."""
        if self.cell is None:
            allowed = "a run folder, a name in cells/, a genotype file, or Genotype(…)"
            raise InputError(f"cell=null: must be given; allowed: {allowed}")
        return load_genotype(self.cell)

    @property
    def title(self) -> str:
        """The name of the cell, or a digest of its edges if it has none."""
        genotype = self.genotype
        name = re.sub(r"[^\w.+-]+", "_", genotype.name)
        return f"retrain-{name or hashlib.sha256(format_tuple_notation(genotype).encode()).hexdigest()[:8]}"


def _select(kind: type[Settings], config: RunConfig) -> Settings:
    """Return a ``kind`` with the values that the config has for its fields."""
    return kind(**{field.name: getattr(config, field.name) for field in fields(kind)})
