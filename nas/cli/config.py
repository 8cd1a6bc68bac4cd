"""What the commands read from their configuration: one frozen dataclass a command, the keys of ``conf/*.yaml``."""

from dataclasses import dataclass

from nas.data.settings import DataSettings
from nas.engine.settings import AlphaSettings, SearchSettings, WeightSettings, require


@dataclass(frozen=True)
class RunSettings:
    """Where the run's files go; null: under ``runs/``, named after space, data and seed."""

    dir: str | None


@dataclass(frozen=True)
class SearchConfig:
    """``conf/search.yaml``, resolved."""

    space: str
    ops: str | None
    data: DataSettings
    epochs: int
    batch_size: int
    channels: int
    cells: int
    order: int
    train_fraction: float
    weights: WeightSettings
    alphas: AlphaSettings
    seed: int
    device: str
    precision: str
    threads: int | None
    max_minutes: float | None
    resume: bool | str
    run: RunSettings

    def __post_init__(self) -> None:
        self.settings  # noqa: B018 - checks them before any work begins
        if self.max_minutes is not None:
            require("max_minutes", self.max_minutes, self.max_minutes > 0, "must be above 0, or null")
        if self.threads is not None:
            require("threads", self.threads, self.threads >= 1, "must be at least 1, or null")

    @property
    def settings(self) -> SearchSettings:
        """The part that the engine takes."""
        return SearchSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            channels=self.channels,
            cells=self.cells,
            order=self.order,
            train_fraction=self.train_fraction,
            seed=self.seed,
            precision=self.precision,
            weights=self.weights,
            alphas=self.alphas,
        )
