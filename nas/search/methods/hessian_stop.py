"""The early stop of R-DARTS (Zela et al., ICLR 2020, arXiv 1909.09656): before the validation loss becomes sharp.

The indicator is the largest eigenvalue of d2 L_val / d alpha2, over the alphas of all kinds of cell, on the last batch
of the alphas' half, plus the alphas' weight decay (1e-3). It is computed after every second of 50 epochs. When its mean
over five values is 1.3 times that of four values before, the search ends with the genotype of the epoch in the middle
of the earlier five, if that is not among the first ten of 50. The numbers of epochs follow the length of the search.
"""

from dataclasses import dataclass

import numpy as np
import torch

from nas.core.validation import require
from nas.graph.genotype import Genotype
from nas.graph.zoo import load_genotype
from nas.search.method import Method, SearchView
from nas.search.methods.registry import register_method

_MEMORY = "hessian_stop"
_WINDOW, _BEFORE = 5, 4  # released code


@dataclass(frozen=True)
class HessianStopSettings:
    """``factor`` 0: the eigenvalues are computed and kept, and nothing stops."""

    factor: float = 1.3  # released code
    every: float = 0.04  # of the epochs: 2 of 50
    not_before: float = 0.2  # of the epochs: 10 of 50
    weight_decay: float = 1e-3

    def __post_init__(self) -> None:
        require("methods.hessian_stop.factor", self.factor, self.factor >= 0, "must be at least 0")
        require("methods.hessian_stop.every", self.every, 0 < self.every <= 1, "must lie in 0..1, above 0")
        require("methods.hessian_stop.not_before", self.not_before, 0 <= self.not_before <= 1, "must lie in 0..1")


def largest_eigenvalue(view: SearchView) -> float:
    """Return the largest eigenvalue, not the largest absolute one, of the Hessian by the alphas (Lanczos)."""
    from scipy.sparse.linalg import LinearOperator, eigsh  # not at each start of a command

    leaves = {kind: alpha.detach().clone().requires_grad_() for kind, alpha in view.supernet.alphas().items()}
    loss = view.validation.loss(leaves)
    gradients = torch.autograd.grad(loss, list(leaves.values()), create_graph=True, materialize_grads=True)
    flat = torch.cat([g.flatten() for g in gradients])

    def times(vector: np.ndarray) -> np.ndarray:
        way = torch.from_numpy(np.asarray(vector)).flatten().to(flat)
        product = torch.autograd.grad(flat, list(leaves.values()), way, retain_graph=True, materialize_grads=True)
        return torch.cat([p.flatten() for p in product]).double().cpu().numpy()

    operator = LinearOperator((len(flat), len(flat)), matvec=times, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(len(flat))
    values = eigsh(operator, k=1, which="LA", v0=start, tol=1e-4, return_eigenvectors=False)
    return float(values[0])


def sharp_since(values: list[float], factor: float) -> bool:
    """Return whether the mean of the last five values is ``factor`` times that of four values before."""
    if factor == 0 or len(values) < _WINDOW + _BEFORE:
        return False
    now, before = values[-_WINDOW:], values[-_WINDOW - _BEFORE : -_BEFORE]
    return sum(before) > 0 and sum(now) / sum(before) > factor


@register_method(
    "hessian_stop",
    settings=HessianStopSettings,
    paper="R-DARTS, arXiv 1909.09656",
    when="to stop a long search of any softmax method before it collapses",
)
def hessian_stop(settings: HessianStopSettings) -> Method:
    """Return DARTS that ends before the validation loss becomes sharp in the alphas."""

    def stop(view: SearchView) -> bool:
        every = max(1, round(settings.every * view.epochs))
        memory = view.memory.setdefault(_MEMORY, {"epochs": [], "values": [], "genotypes": [], "chosen": None})
        if view.epoch % every:
            return False
        memory["epochs"].append(view.epoch)
        memory["values"].append(largest_eigenvalue(view) + settings.weight_decay)
        memory["genotypes"].append(repr(view.supernet.genotype()))
        middle = len(memory["values"]) - 1 - _BEFORE - _WINDOW // 2
        if not sharp_since(memory["values"], settings.factor):
            return False
        if memory["epochs"][middle] < settings.not_before * view.epochs:
            return False
        memory["chosen"] = memory["genotypes"][middle]
        return True

    def select(view: SearchView) -> Genotype:
        chosen = view.memory.get(_MEMORY, {}).get("chosen")
        return view.supernet.genotype() if chosen is None else load_genotype(chosen)

    return Method(stop=stop, select=select)
