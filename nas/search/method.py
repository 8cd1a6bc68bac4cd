"""Search methods: what a search does differently from DARTS, as a record of functions.

A method of the DARTS family differs from DARTS (arXiv 1806.09055) in some of these places; what it leaves out is
DARTS' own:

    relaxation      how alphas become strengths                         Gumbel softmax, sigmoid, …
    edge_rule       what an edge does around its operators              partial channels, edge weights, …
    penalties       numbers added to the alphas' loss                   without a pass through the network
    alpha_gradient  the direction of an alpha step                      None: the gradient of the validation loss
    alpha_update    how the alphas move along it                        None: Adam
    weights_lr      the weights' learning rate in an epoch              None: DARTS' cosine
    perturbation    the strengths of a weight step                      random or adversarial noise
    weight_hook     the gradients of a weight step                      freezing operators, …
    rests, on_epoch, stop, select   epochs without alpha steps, events between epochs, the end, the genotype
    judged          the cells that were trained by themselves           none

Methods compose with ``+`` (:func:`compose_methods`) if no two of them claim the same place; penalties and events add
up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.engine.optimizer import WeightSettings
from nas.graph.genotype import Genotype
from nas.models.edge_rule import DARTS_EDGE, EdgeRule
from nas.models.relaxation import Relax, Relaxation, softmax_strengths
from nas.models.supernet import Supernet

NamedTensors = Mapping[str, Tensor]  # by the keys of Supernet.architecture(); strengths by kind of cell
KEPT = "kept operators"  # in the memory
Memory = dict[str, Any]  # what a method remembers from step to step: tensors and plain values, part of a checkpoint
StrengthGradient = Callable[[NamedTensors], tuple[Tensor, NamedTensors]]  # -> training loss (), gradients by strengths
Events = tuple[Callable[["SearchView"], None], ...]
Penalties = tuple[Callable[[NamedTensors, int, int], Tensor], ...]


class Validation(Protocol):
    """The alphas' half of the data, as a method may ask for it between two epochs."""

    def accuracy(self, relax: Relax | None = None) -> tuple[float, float]:
        """Return accuracy (0..1) and loss on the whole half; BatchNorms use the statistics of each batch.

        ``relax``: as in :meth:`Supernet.forward`. Nothing of the search changes.
        """

    def loss(self, alphas: NamedTensors) -> Tensor:
        """Return the loss () on the last batch of an alpha step, as a function of the alphas; twice differentiable."""


@dataclass(frozen=True)
class SearchView:
    """A search between two epochs, as events and selection see it; ``epoch`` epochs of ``epochs`` are done.

    ``restart_weights()`` sets the momentum of the weights' optimizer to 0; ``redraw_weights(number)`` also draws the
    weights anew, from the stream of this number. ``valid_accuracy`` (0..1) is that after the last whole epoch.
    """

    supernet: Supernet
    memory: Memory
    epoch: int
    epochs: int
    validation: Validation
    restart_weights: Callable[[], None]
    redraw_weights: Callable[[int], None]
    valid_accuracy: float | None
    seed: int

    def restrict(self, kept: NamedTensors) -> None:
        """Leave only some operators on the edges, for the rest of the search: :meth:`Supernet.restrict`."""
        self.memory[KEPT] = {kind: mask.cpu() for kind, mask in kept.items()}
        self.supernet.restrict(kept)

    @property
    def kept(self) -> dict[str, Tensor]:
        """The operators that are left, bool (edges, operators) by kind of cell."""
        space = self.supernet.space
        every = torch.ones(len(space.edges), len(space.operators), dtype=torch.bool)
        found = self.memory.get(KEPT, {})
        return {kind: found.get(kind, every).clone() for kind in space.kinds}


class JudgedCell(NamedTuple):
    """A cell that a search has trained by itself: its accuracy (0..1) on the alphas' half, after ``epoch`` epochs."""

    genotype: Genotype
    valid_accuracy: float
    epoch: int


@dataclass(frozen=True)
class Perturbation:
    """Other strengths for a weight step: ``perturb(strengths, noise, value, gradient)``, all by kind of cell.

    ``noise`` and ``schedule``, which gives ``value`` (), are as in :class:`nas.models.relaxation.Relaxation`.
    ``gradient(strengths)`` returns the training loss on the step's batch and its gradients by the strengths.
    """

    perturb: Callable[[NamedTensors, NamedTensors, Tensor, StrengthGradient], dict[str, Tensor]]
    noise: Callable[[tuple[int, ...], torch.Generator], Tensor] | None = None
    schedule: Callable[[int, int], float] | None = None


@dataclass(frozen=True)
class AlphaGradients:
    """What an alpha step can ask for: gradients by the alphas at their values, or at others.

    ``valid(at)`` is that of the validation loss, of the settings' order; ``train(at)`` that of the training loss on the
    batch of the next weight step. ``at`` None: at ``alphas``. Both have the keys of :meth:`Supernet.architecture`.
    """

    alphas: NamedTensors
    valid: Callable[[NamedTensors | None], NamedTensors]
    train: Callable[[NamedTensors | None], NamedTensors]
    memory: Memory


@dataclass(frozen=True)
class AlphaMove:
    """One update of the alphas, in place: against ``directions`` at ``lr``.

    ``alphas`` and ``directions`` have the keys of :meth:`Supernet.architecture`; ``edge_weights`` are the weights
    (edges,) that a weighted edge rule makes of the betas, by kind of cell.
    """

    alphas: NamedTensors
    directions: NamedTensors
    edge_weights: NamedTensors
    lr: float


@dataclass(frozen=True)
class WeightGradients:
    """The gradients by the weights in a weight step, by name: on its batch, and on the alphas' batch if asked for."""

    train: NamedTensors
    valid: Callable[[], NamedTensors]
    memory: Memory


@dataclass(frozen=True)
class Method:
    """A search method; the defaults are DARTS.

    ``penalties``: functions of (alphas, epoch, epochs), epochs from 0; an alpha is -inf where an edge does not have the
    operator. ``alpha_gradient`` returns the direction against which the alphas move, ``alpha_update`` moves them.
    ``weights_lr(settings, epoch, epochs)`` returns the weights' learning rate in an epoch.
    ``weight_hook`` returns the gradients by which the weights move; a weight that it leaves out stays as it is.
    ``rests(epoch, epochs)`` says whether the alphas rest in an epoch. ``on_epoch`` functions are called before each
    epoch's first step; ``stop`` after an epoch, and ends the search if it returns True. ``select`` returns the
    genotype; None: that of :meth:`Supernet.genotype`. ``judged`` returns the cells that the search has judged so far,
    for ``cells.jsonl``. ``orders`` are the orders of gradients that it is defined for.
    ``checks`` look at the composed method and return what contradicts this one, or None.
    ``capturable`` is False if a step decides by values on the device, so that it cannot be captured as a CUDA graph.
    """

    name: str = "darts"
    relaxation: Relaxation = field(default_factory=Relaxation)
    edge_rule: EdgeRule = DARTS_EDGE
    penalties: Penalties = ()
    alpha_gradient: Callable[[AlphaGradients], NamedTensors] | None = None
    alpha_update: Callable[[AlphaMove], None] | None = None
    weights_lr: Callable[[WeightSettings, int, int], float] | None = None
    perturbation: Perturbation | None = None
    weight_hook: Callable[[WeightGradients], NamedTensors] | None = None
    rests: tuple[Callable[[int, int], bool], ...] = ()
    on_epoch: Events = ()
    stop: Callable[[SearchView], bool] | None = None
    select: Callable[[SearchView], Genotype] | None = None
    judged: Callable[[SearchView], list[JudgedCell]] | None = None
    checks: tuple[Callable[["Method"], str | None], ...] = ()
    orders: tuple[int, ...] = (1, 2)
    capturable: bool = True

    def alphas_rest(self, epoch: int, epochs: int) -> bool:
        """Return whether the alphas rest in ``epoch``, from 0."""
        return any(rests(epoch, epochs) for rests in self.rests)


_ADDED = ("penalties", "rests", "on_epoch", "checks")
_PLACES = tuple(f.name for f in fields(Method) if f.name not in ("name", "orders", "capturable", *_ADDED))


def compose_methods(methods: Sequence[Method]) -> Method:
    """Return one method that differs from DARTS wherever one of ``methods`` does.

    Raises :class:`InputError` if two of them claim the same place, or contradict each other.
    """
    whole = methods[0]
    for method in methods[1:]:
        changes = {place: getattr(method, place) for place in _PLACES if _is_changed(method, place)}
        for place in changes:
            if _is_changed(whole, place):
                raise InputError(
                    f"method={whole.name}+{method.name}: both define {place}, and only one can; leave one of them out"
                )
        changes |= {place: getattr(whole, place) + getattr(method, place) for place in _ADDED}
        orders = tuple(order for order in whole.orders if order in method.orders)
        name = f"{whole.name}+{method.name}"
        whole = replace(whole, name=name, orders=orders, capturable=whole.capturable and method.capturable, **changes)
    if whole.perturbation is not None and whole.relaxation.sparse:
        raise InputError(
            f"method={whole.name}: one-hot strengths cannot be perturbed; leave out one of the two methods"
        )
    for check in whole.checks:
        if (complaint := check(whole)) is not None:
            raise InputError(f"method={whole.name}: {complaint}; leave out one of the two")
    return whole


def needs_softmax(name: str) -> Callable[[Method], str | None]:
    """Return the check of a method whose formulas are for strengths that are a softmax of the alphas."""

    def check(whole: Method) -> str | None:
        softmax = whole.relaxation.probabilities is softmax_strengths
        return None if softmax else f"{name} is defined for strengths that are a softmax of the alphas"

    return check


def needs_two_levels(name: str) -> Callable[[Method], str | None]:
    """Return the check of a method that compares the alphas' batch with the weights'."""

    def check(whole: Method) -> str | None:
        one = whole.alpha_gradient is not None and set(whole.name.split("+")) & {"single_level", "snas"}
        return f"{name} compares the alphas' batch with the weights', and the other has one level" if one else None

    return check


def _is_changed(method: Method, place: str) -> bool:
    return bool(getattr(method, place) != getattr(Method(), place))
