"""The state of a search: everything that a step changes, and how it goes into a checkpoint and comes out again."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from nas.core.errors import InputError
from nas.core.metrics import Tally
from nas.core.seeding import derive_seed
from nas.core.shown import shown
from nas.engine.bilevel import Parts, split
from nas.engine.graphs import Graphs
from nas.engine.mishaps import Mishaps
from nas.engine.objective import SizeObjective
from nas.engine.remember import remember
from nas.engine.saved import load_optimiser, looked_over
from nas.engine.schedule import cosine
from nas.engine.settings import SearchSettings
from nas.graph.space import Space
from nas.models.supernet import Supernet

FORMAT = 1


@dataclass
class SearchState:
    """A search between two steps: ``step`` steps of epoch ``epoch`` are done, in ``seconds`` over all sittings."""

    supernet: Supernet
    weight_optimiser: torch.optim.SGD
    alpha_optimiser: torch.optim.Adam
    tally: Tally
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    valid_accuracy: float | None = None  # of the last whole epoch
    objective: SizeObjective | None = None  # fixed by the settings, so no part of a checkpoint
    mishaps: Mishaps = field(default_factory=Mishaps)
    graphs: Graphs | None = None  # where the gradients are replayed as CUDA graphs
    parts: Parts = field(init=False)

    def __post_init__(self) -> None:
        self.parts = split(self.supernet)

    def momentum_buffers(self) -> dict[str, torch.Tensor]:
        """The weights' momentum by name; empty in front of the first step."""
        states = self.weight_optimiser.state
        weights = self.parts.weights
        return {name: states[w]["momentum_buffer"] for name, w in weights.items() if "momentum_buffer" in states[w]}

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "format": FORMAT,
            "space": _space_dict(self.supernet.space),
            "model": self.supernet.state_dict(),
            "weight_optimiser": self.weight_optimiser.state_dict(),
            "alpha_optimiser": self.alpha_optimiser.state_dict(),
            "tally": self.tally.sums.tolist(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "valid_accuracy": self.valid_accuracy,
            "mishaps": asdict(self.mishaps),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    @looked_over("search")
    def load_dict(self, saved: dict[str, Any], where: str) -> None:
        """Go back to what :meth:`to_dict` gave; raises :class:`InputError` where it belongs to another search."""
        if saved.get("format") != FORMAT:
            raise InputError(f"{where}: not a search checkpoint of format {FORMAT}")
        if saved["space"] != _space_dict(self.supernet.space):
            raise InputError(f"{where}: was made in another search space: {shown(saved['space'])}")
        try:
            self.supernet.load_state_dict(saved["model"])
            load_optimiser(self.weight_optimiser, saved["weight_optimiser"])
            load_optimiser(self.alpha_optimiser, saved["alpha_optimiser"])
            if self.graphs is not None:
                self.graphs.forget()
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(f"{where}: does not fit this search: {str(error).splitlines()[0]}") from error
        self.tally = Tally(self.tally.sums.device, saved["tally"])
        self.epoch, self.step, self.seconds = saved["epoch"], saved["step"], saved["seconds"]
        self.valid_accuracy = saved["valid_accuracy"]
        self.mishaps = Mishaps(**saved.get("mishaps", {}))
        torch.set_rng_state(saved["rng"])
        if torch.cuda.is_available() and len(saved["cuda_rng"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(saved["cuda_rng"])

    def remember(self) -> Callable[[], None]:
        """A function that takes back what a step changes before it moves the weights."""
        return remember(self.supernet, self.supernet.alphas().values(), self.alpha_optimiser)


def start_state(space: Space, settings: SearchSettings, num_classes: int, device: torch.device) -> SearchState:
    """A search in front of its first step; the seed's stream "weights" gives weights and alphas."""
    torch.manual_seed(derive_seed(settings.seed, "weights"))
    sizes = (settings.channels, settings.cells, num_classes)
    supernet = Supernet(space, *sizes, settings.execution, settings.grad_checkpoint).to(device)
    weights, alphas = settings.weights, settings.alphas
    return SearchState(
        supernet,
        torch.optim.SGD(  # not fused: on a CPU that misreads gradients whose layout is not their weight's
            supernet.weights(), weights.lr, weights.momentum, weight_decay=weights.weight_decay, foreach=True
        ),
        torch.optim.Adam(
            supernet.alphas().values(),
            alphas.lr,
            (alphas.beta1, alphas.beta2),
            weight_decay=alphas.weight_decay,
            foreach=True,
        ),
        Tally(device),
        graphs=Graphs(supernet) if settings.cuda_graphs else None,
    )


def learning_rate(settings: SearchSettings, epoch: int) -> float:
    """The weights' learning rate in ``epoch`` (from 0): a cosine from ``lr`` to ``lr_min`` (DARTS, §A.1.1)."""
    return cosine(settings.weights.lr, settings.weights.lr_min, epoch / settings.epochs)


def _space_dict(space: Space) -> dict[str, Any]:
    sizes = {"inputs": space.inputs, "intermediate_nodes": space.intermediate_nodes}
    return {"operators": list(space.operators), **sizes, "edges_per_node": space.edges_per_node}
