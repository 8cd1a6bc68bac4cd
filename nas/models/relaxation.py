"""How alphas become the strengths of operators. DARTS' softmax is the default; search methods bring others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

AlphaFunction = Callable[[Tensor], Tensor]  # alphas (E, K) -> strengths (E, K)
Relax = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]  # the same for all kinds of cell, as one pass uses it


def softmax_strengths(alpha: Tensor) -> Tensor:
    """Return the softmax of the alphas (E, K) over the operators of each edge (DARTS, arXiv 1806.09055, eq. 2)."""
    return torch.softmax(alpha, dim=-1)


@dataclass(frozen=True)
class Relaxation:
    """The functions from alphas (E edges, K operators) to strengths (E, K) of one kind of cell.

    ``probabilities`` is read by derivation, reports and plots. ``inference`` gives the strengths of a pass outside the
    search's steps; None: the probabilities. ``sample(alpha, noise, value)`` gives those of a training pass; None: those
    of ``inference``. Its ``noise(shape, generator)`` is drawn on the CPU for every step and kind of cell, and is shared
    by all passes of the step; its ``value`` () is ``schedule(epoch, epochs)``, epochs from 0, such as a temperature.
    ``initial`` maps DARTS' random alphas near 0, -inf for operators that an edge does not have, to those that a search
    begins with; it returns finite numbers. With ``sparse``, operators of strength 0 are not computed, and their alphas'
    gradient comes from the others alone.
    """

    probabilities: AlphaFunction = softmax_strengths
    inference: AlphaFunction | None = None
    sample: Callable[[Tensor, Tensor | None, Tensor], Tensor] | None = None
    noise: Callable[[tuple[int, ...], torch.Generator], Tensor] | None = None
    schedule: Callable[[int, int], float] | None = None
    sparse: bool = False
    initial: AlphaFunction | None = None

    def of_inference(self, alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the strengths of a pass outside the search's steps, by kind of cell."""
        function = self.inference or self.probabilities
        return {kind: function(alpha) for kind, alpha in alphas.items()}

    def of_step(self, noise: Mapping[str, Tensor], value: Tensor) -> Relax:
        """Return the relaxation of one step, with its ``noise`` by kind of cell (empty: none) and its ``value``."""
        sample = self.sample
        if sample is None:
            return self.of_inference
        return lambda alphas: {kind: sample(alpha, noise.get(kind), value) for kind, alpha in alphas.items()}
