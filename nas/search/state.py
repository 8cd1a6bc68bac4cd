"""The state of a search: all that a step changes, saved to and restored from checkpoints."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.seeding import derive_seed
from nas.core.terminal import print_warning
from nas.costs.expected import SizeObjective
from nas.engine.checkpoint_checks import checked_load, load_optimizer
from nas.engine.cuda_graphs import CudaGraphs
from nas.engine.nonfinite import NonFiniteCounts
from nas.engine.optimizer import init_optimizer_state, optimizer_tensors
from nas.engine.running_metrics import RunningMetrics
from nas.engine.schedules import cosine
from nas.engine.snapshot import snapshot
from nas.engine.user_functions import Loss, Metric
from nas.graph.space import Space
from nas.models.relaxation import softmax_strengths
from nas.models.skeletons import check_search_cells
from nas.models.supernet import Supernet
from nas.search.bilevel import ParameterSplit, split_parameters
from nas.search.method import KEPT, Memory, Method
from nas.search.methods import build_method
from nas.search.settings import SearchSettings
from nas.storage.checkpoint_format import CHECKPOINT_FORMAT


@dataclass
class SearchState:
    """A search between two steps: ``step`` steps of epoch ``epoch`` are done, in ``seconds`` over all sessions."""

    supernet: Supernet
    weight_optimizer: torch.optim.SGD
    alpha_optimizer: torch.optim.Adam
    metrics: RunningMetrics
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    valid_accuracy: float | None = None  # of the last whole epoch
    objective: SizeObjective | None = None  # given by the settings, so not part of a checkpoint
    nonfinite: NonFiniteCounts = field(default_factory=NonFiniteCounts)
    fingerprint: dict[str, str] = field(default_factory=dict)
    loss: Loss = F.cross_entropy  # or the user's own; not part of a checkpoint
    valid_loss: Loss | None = None  # of the evaluation, if it is another one
    metric: Metric | None = None  # likewise
    graphs: CudaGraphs | None = None  # if the steps are replayed as CUDA graphs
    method: Method = field(default_factory=Method)
    memory: Memory = field(default_factory=dict)  # of the method
    stopped: bool = False  # by the method, before the last epoch
    events_of: int = -1  # the epoch before which the method's events were called last
    build: Callable[[], Supernet] | None = None  # a supernet like this one, with weights of its own
    parts: ParameterSplit = field(init=False)
    lr: torch.Tensor = field(init=False)  # (), of the weights; on the device, since CUDA graphs read it

    def __post_init__(self) -> None:
        self.parts = split_parameters(self.supernet)
        self.lr = torch.zeros((), dtype=torch.float32, device=self.metrics.sums.device)  # as fused optimizers require
        self._init_optimizers()

    def _init_optimizers(self) -> None:
        for optimizer in (self.weight_optimizer, self.alpha_optimizer):
            init_optimizer_state(optimizer)

    def momentum_buffers(self) -> dict[str, torch.Tensor]:
        """Return the weights' momentum by name."""
        states = self.weight_optimizer.state
        return {name: states[weight]["momentum_buffer"] for name, weight in self.parts.weights.items()}

    def moved(self) -> list[torch.Tensor]:
        """Return all tensors that an alpha step and a weight step change."""
        own = [*self.supernet.parameters(), *self.supernet.buffers()]
        return own + optimizer_tensors(self.weight_optimizer) + optimizer_tensors(self.alpha_optimizer)

    def to_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {
            "format": CHECKPOINT_FORMAT,
            "fingerprint": self.fingerprint,
            "space": _space_dict(self.supernet.space),
            "model": self.supernet.state_dict(),
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "alpha_optimizer": self.alpha_optimizer.state_dict(),
            "metrics": self.metrics.sums.tolist(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "valid_accuracy": self.valid_accuracy,
            "nonfinite": asdict(self.nonfinite),
            "memory": self.memory,
            "stopped": self.stopped,
            "events_of": self.events_of,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    @checked_load("search")
    def load_dict(self, saved: dict[str, Any], where: str) -> None:
        """Restore what :meth:`to_dict` returned; raise :class:`InputError` if it belongs to another search."""
        if saved.get("format") != CHECKPOINT_FORMAT:
            raise InputError(f"{where}: not a search checkpoint of format {CHECKPOINT_FORMAT} or older")
        if saved["space"] != _space_dict(self.supernet.space):
            raise InputError(f"{where}: was made in another search space: {format_value(saved['space'])}")
        try:
            self.supernet.load_state_dict(saved["model"])
            load_optimizer(self.weight_optimizer, saved["weight_optimizer"])
            load_optimizer(self.alpha_optimizer, saved["alpha_optimizer"])
            self._init_optimizers()  # a checkpoint from before the first step may have no state
            if self.graphs is not None:
                self.graphs.forget()
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(f"{where}: does not fit this search: {str(error).splitlines()[0]}") from error
        self.metrics = RunningMetrics(self.metrics.sums.device, saved["metrics"])
        self.epoch, self.step, self.seconds = saved["epoch"], saved["step"], saved["seconds"]
        self.valid_accuracy = saved["valid_accuracy"]
        self.nonfinite = NonFiniteCounts(**saved.get("nonfinite", {}))
        self.memory, self.stopped = saved.get("memory", {}), saved.get("stopped", False)
        self.events_of = saved.get("events_of", -1)
        self.supernet.restrict(self.memory.get(KEPT))
        torch.set_rng_state(saved["rng"])
        if torch.cuda.is_available() and len(saved["cuda_rng"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(saved["cuda_rng"])

    def restart_weights(self) -> None:
        """Set the momentum of the weights' optimizer to 0."""
        for tensor in optimizer_tensors(self.weight_optimizer):
            tensor.zero_()

    def redraw_weights(self, seed: int) -> None:
        """Draw weights and running statistics anew, and set the weights' momentum to 0; alphas stay."""
        assert self.build is not None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = self.build().state_dict()
        own, kept = self.supernet.state_dict(), set(self.parts.alphas)
        for name, value in fresh.items():
            if name not in kept:
                own[name].copy_(value)
        self.restart_weights()

    def snapshot(self) -> Callable[[], None]:
        """Return a function that undoes what a step changes, except the weights and their momentum."""
        tensors = [
            *self.supernet.architecture().values(),
            *self.supernet.buffers(),
            *optimizer_tensors(self.alpha_optimizer),
        ]
        return snapshot(tensors)


def init_search_state(
    space: Space, settings: SearchSettings, num_classes: int, device: torch.device, in_chans: int = 3
) -> SearchState:
    """Return a search before its first step, its weights and alphas drawn from the seed's stream "weights".

    The images have ``in_chans`` channels. Raises :class:`InputError` if the supernet has too few cells for a search of
    ``space``.
    """
    check_search_cells(space, settings.cells)
    torch.manual_seed(derive_seed(settings.seed, "weights"))
    method = search_method(settings)
    build = partial(build_supernet, space, settings, num_classes, in_chans)
    supernet = build().to(device)
    weights, alphas = settings.weights, settings.alphas
    state = SearchState(
        supernet,
        torch.optim.SGD(
            supernet.weights(), weights.lr, weights.momentum, weight_decay=weights.weight_decay, fused=True
        ),
        torch.optim.Adam(
            supernet.architecture().values(),
            alphas.lr,
            (alphas.beta1, alphas.beta2),
            weight_decay=alphas.weight_decay,
            capturable=True,
            fused=True,
        ),
        RunningMetrics(device),
        method=method,
        build=build,
    )
    if settings.cuda_graphs and not method.capturable:
        print_warning(f"cuda_graphs=true: not with method={method.name}, whose steps wait for values")
    elif settings.cuda_graphs:
        state.graphs = CudaGraphs(state.moved)
    return state


def build_supernet(space: Space, settings: SearchSettings, num_classes: int, in_chans: int) -> Supernet:
    """Return the supernet of a search, with the relaxation and the edge rule of its method."""
    method = search_method(settings)
    return Supernet(
        space,
        settings.channels,
        settings.cells,
        num_classes,
        settings.execution,
        settings.grad_checkpoint,
        in_chans,
        relaxation=method.relaxation,
        edge_rule=method.edge_rule,
    )


def search_method(settings: SearchSettings) -> Method:
    """Return the method of a search; raise :class:`InputError` if the other settings do not fit it."""
    method = build_method(settings.method, settings.methods)
    if settings.order not in method.orders:
        allowed = " or ".join(map(str, method.orders)) or "none: leave one of its methods out"
        raise InputError(f"order={settings.order}: method={settings.method} is defined for order {allowed}")
    if method.select is None and all(method.alphas_rest(epoch, settings.epochs) for epoch in range(settings.epochs)):
        allowed = f"more epochs, or a shorter rest among its own settings (python -m nas methods {settings.method})"
        raise InputError(
            f"epochs={settings.epochs}: the alphas of method={settings.method} would rest in all of them; "
            f"allowed: {allowed}"
        )
    other_rule = method.select is not None or method.relaxation.probabilities is not softmax_strengths
    if settings.objective.enabled and other_rule:
        rule = "the expected size is that of cells derived from a softmax"
        raise InputError(f"objective: has no meaning with method={settings.method}; {rule}; leave out one of the two")
    return method


def weights_learning_rate(settings: SearchSettings, epoch: int, method: Method | None = None) -> float:
    """Return the weights' learning rate in ``epoch`` (from 0): a cosine from ``lr`` to ``lr_min`` (DARTS, §A.1.1).

    A method may make another of it.
    """
    if method is not None and method.weights_lr is not None:
        return method.weights_lr(settings.weights, epoch, settings.epochs)
    return cosine(settings.weights.lr, settings.weights.lr_min, epoch / settings.epochs)


def _space_dict(space: Space) -> dict[str, Any]:
    return {"operators": list(space.operators), **space.topology()}
