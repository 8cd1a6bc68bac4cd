"""What the commands read from their configuration: one frozen dataclass a command, the keys of ``conf/*.yaml``."""

import hashlib
import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from nas.core.errors import InputError
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
    """Where the run's files go; null: under ``runs/``, named after what is run, data and seed."""

    dir: str | None


@dataclass(frozen=True)
class RunConfig(FaultTolerance, ABC):
    """What every run is told, whatever it does. A command's config joins to it the settings that its engine takes."""

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
        self.settings  # noqa: B018 - checks them before any work begins
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
        """The part that the engine takes."""

    @property
    def fault_tolerance(self) -> FaultTolerance:
        """How the run is kept safe."""
        return _part(FaultTolerance, self)

    @property
    @abstractmethod
    def title(self) -> str:
        """What is done to what: the name of the run's folder, in front of data and seed."""


@dataclass(frozen=True)
class SearchConfig(RunConfig, SearchSettings):
    """``conf/search.yaml``, resolved."""

    space: str

    @property
    def settings(self) -> SearchSettings:
        """The part that the engine takes."""
        return _part(SearchSettings, self)

    @property
    def title(self) -> str:
        """The space."""
        return "+".join(Path(part).stem for part in self.space.split("+"))


@dataclass(frozen=True)
class RetrainConfig(RunConfig, TrainSettings):
    """``conf/retrain.yaml``, resolved."""

    cell: str | None
    eval: str | None
    output: str | None

    @property
    def settings(self) -> TrainSettings:
        """The part that the engine takes."""
        return _part(TrainSettings, self)

    @property
    def genotype(self) -> Genotype:
        """The cell to train; raises :class:`InputError` where none is given."""
        if self.cell is None:
            raise InputError("cell=null: say what to train, cell=<a name in cells/, a genotype file, or Genotype(…)>")
        return load_genotype(self.cell)

    @property
    def title(self) -> str:
        """The cell, by its name or else by a digest of its edges."""
        genotype = self.genotype
        name = re.sub(r"[^\w.+-]+", "_", genotype.name)
        return f"retrain-{name or hashlib.sha256(format_tuple_notation(genotype).encode()).hexdigest()[:8]}"


def _part(kind: type[Settings], config: RunConfig) -> Settings:
    """The dataclass ``kind`` with the config's values of the same names."""
    return kind(**{field.name: getattr(config, field.name) for field in fields(kind)})
