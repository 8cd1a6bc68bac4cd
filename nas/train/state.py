"""The state of a retraining: everything that a step changes, and how it goes into a checkpoint and comes out again.

What is random in a step is seeded by its place (:mod:`nas.train.step`), so no generator is part of it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nas.core.errors import InputError
from nas.core.seeding import derive_seed
from nas.engine.checkpoint_checks import load_optimiser, looked_over
from nas.engine.nonfinite import Mishaps
from nas.engine.running_metrics import Tally
from nas.engine.snapshot import remember
from nas.models.network import Network
from nas.train.network_spec import Blueprint, blueprint_from_dict
from nas.train.settings import TrainSettings

FORMAT = 1
MINE = ("epoch", "step", "seconds", "test_loss", "test_accuracy", "best_accuracy", "best_epoch")


@dataclass
class TrainState:
    """A retraining between two steps: ``step`` steps of epoch ``epoch`` are done, in ``seconds`` over all sittings."""

    blueprint: Blueprint
    model: Network
    optimiser: torch.optim.SGD
    average: AveragedModel | None  # of the weights and BatchNorm statistics over the steps (EMA)
    tally: Tally
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    test_loss: float | None = None  # of the last epoch that was evaluated
    test_accuracy: float | None = None
    best_accuracy: float | None = None  # of all of them
    best_epoch: int | None = None
    mishaps: Mishaps = field(default_factory=Mishaps)

    @property
    def judged(self) -> Network:
        """The network whose accuracy counts: that of the averaged weights where there is an average."""
        return self.model if self.average is None else cast("Network", self.average.module)

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            **self.trained_dict(),
            "format": FORMAT,
            "weights": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "tally": self.tally.sums.tolist(),
            "mishaps": asdict(self.mishaps),
            **{name: getattr(self, name) for name in MINE},
        }

    def trained_dict(self) -> dict[str, Any]:
        """The part that stands alone, see :func:`nas.train.trained_network.load_trained`; ``model`` is
        the judged network.

        It shares its memory with the weights or their average, also in the file.
        """
        return {"blueprint": self.blueprint.to_dict(), "model": self.judged.state_dict()}

    @looked_over("training")
    def load_dict(self, saved: dict[str, Any], where: str) -> None:
        """Go back to what :meth:`to_dict` gave; raises :class:`InputError` where it belongs to another training."""
        if saved.get("format") != FORMAT or not saved.keys() >= {"blueprint", "weights", *MINE}:
            raise InputError(f"{where}: not a retraining's checkpoint of format {FORMAT}")
        self.blueprint.check_same(blueprint_from_dict(saved["blueprint"], where), where)
        if (self.average is None) != (saved["average"] is None):
            raise InputError(f"{where}: does not fit this training: one averages its weights (ema), the other does not")
        try:
            self.model.load_state_dict(saved["weights"])
            load_optimiser(self.optimiser, saved["optimiser"])
            if self.average is not None:
                self.average.load_state_dict(saved["average"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(f"{where}: does not fit this training: {str(error).splitlines()[0]}") from error
        self.tally = Tally(self.tally.sums.device, saved["tally"])
        self.mishaps = Mishaps(**saved.get("mishaps", {}))
        for name in MINE:
            setattr(self, name, saved[name])

    def remember(self) -> Callable[[], None]:
        """A function that takes back what a step changes before it moves the weights."""
        return remember(self.model.buffers())


def start_training(blueprint: Blueprint, settings: TrainSettings, device: torch.device) -> TrainState:
    """A retraining in front of its first step; the seed's stream "weights" gives the weights."""
    torch.manual_seed(derive_seed(settings.seed, "weights"))
    model = blueprint.build().to(device)
    if not settings.compile:  # what a compiler makes of the network is its own affair
        model.execution = settings.execution
    if settings.channels_last:
        model = model.to(memory_format=torch.channels_last)
    weights = settings.weights
    optimiser = torch.optim.SGD(
        model.parameters(), weights.lr, momentum=weights.momentum, weight_decay=weights.weight_decay
    )
    average = None
    if settings.ema is not None:
        average_of = get_ema_multi_avg_fn(settings.ema)  # type: ignore[no-untyped-call]
        average = AveragedModel(model, multi_avg_fn=average_of, use_buffers=True)
    return TrainState(blueprint, model, optimiser, average, Tally(device))
