"""The strengths of one step: its noise, drawn from streams of the run's seed, and the values of its schedules.

Noise and values are tensors that the step takes as inputs, so that a resumed run draws the same, all passes of a step
share one draw, and a CUDA graph can be replayed with other values.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from nas.core.seeding import derive_seed
from nas.data.batches import Batch
from nas.models.relaxation import Relax
from nas.search.bilevel import strength_gradients
from nas.search.settings import SearchSettings
from nas.search.state import SearchState


class Drawn(Protocol):
    """What has noise and a schedule: a relaxation or a perturbation."""

    @property
    def noise(self) -> Callable[[tuple[int, ...], torch.Generator], Tensor] | None:
        """Return noise of a shape."""

    @property
    def schedule(self) -> Callable[[int, int], float] | None:
        """Return the value in an epoch, from 0, of so many."""


def step_inputs(state: SearchState, settings: SearchSettings, drawn: Drawn | None, stream: str) -> tuple[Tensor, ...]:
    """Return the inputs of a step: the value () of the schedule, then the noise (E, K) of each kind of cell.

    There are none without noise and schedule. The noise belongs to the seed, the epoch, the step and the ``stream``.
    """
    if drawn is None or (drawn.noise is None and drawn.schedule is None):
        return ()
    value = 0.0 if drawn.schedule is None else drawn.schedule(state.epoch, settings.epochs)
    device = state.lr.device
    inputs = [torch.tensor(value, dtype=torch.float64, device=device)]
    if drawn.noise is not None:
        for kind, alpha in state.supernet.alphas().items():
            seed = derive_seed(settings.seed, "noise", stream, kind, state.epoch, state.step)
            inputs.append(drawn.noise(tuple(alpha.shape), torch.Generator().manual_seed(seed)).to(device))
    return tuple(inputs)


def step_relaxation(state: SearchState, inputs: tuple[Tensor, ...]) -> Relax | None:
    """Return the relaxation of a step with these inputs; None: the model's own, without noise."""
    relaxation = state.method.relaxation
    if relaxation.sample is None:
        return None
    value, noise = _unpacked(state, inputs)
    return relaxation.of_step(noise, value)


def perturbed_relaxation(
    state: SearchState, relax: Relax | None, batch: Batch, inputs: tuple[Tensor, ...], autocast: torch.dtype | None
) -> Relax | None:
    """Return the relaxation of a weight step on ``batch`` after the method's perturbation, if it has one."""
    perturbation = state.method.perturbation
    if perturbation is None:
        return relax
    value, noise = _unpacked(state, inputs)
    given = (relax or state.method.relaxation.of_inference)(
        state.supernet.masked({kind: alpha.detach() for kind, alpha in state.supernet.alphas().items()})
    )

    def gradient(strengths: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        with evaluating(state.supernet):
            return strength_gradients(
                state.supernet, batch, strengths, state.loss, parts=state.parts, autocast=autocast
            )

    found = perturbation.perturb(given, noise, value, gradient)
    fixed = {kind: strengths.detach() for kind, strengths in found.items()}
    return lambda alphas: fixed


def _unpacked(state: SearchState, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
    value = inputs[0] if inputs else torch.zeros((), dtype=torch.float64, device=state.lr.device)
    return value, dict(zip(state.supernet.alphas(), inputs[1:], strict=False))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run in evaluation mode; then restore the mode of each module."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
