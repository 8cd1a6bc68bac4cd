"""The judge: every execution of a case against the reference, by the noise that the reference itself has."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas.core.errors import InputError
from tests.fuzz.cases import Case
from tests.fuzz.run import Outcome, Results, Way, compute

MOVED = {torch.float64: 1e-15, torch.float32: 1e-7}  # relative, a few units in the last place
FACTOR = {torch.float64: 100.0, torch.float32: 10.0}  # how much larger a difference may be than the moved inputs make
ABSOLUTE = {torch.float64: 1e-13, torch.float32: 3e-6}  # of the largest value of the group: zeros that are sums
DRAWS = (0, 4, 8, 16)  # how often inputs are moved before a difference counts: noise differs by direction
MAY_RAISE = ("double backward", "torch.func")  # derivatives that a fast execution may refuse
EXPLODED = 1e3  # a case whose own noise is larger than this, and than as many times its group, says nothing
NOISY = 1e-6  # a case whose own noise is larger says little
IN_PLACE = ("modified by an inplace operation", "is being modified inplace")  # by torch, of such an operator's gradient

Compute = Callable[[Case, Way], Outcome]
Begin = Callable[[Way], None]


@dataclass(frozen=True)
class Verdict:
    """What a case came to: ``"agreed"``, ``"refused"`` (an error in all executions), ``"invalid"`` or ``"finding"``.

    Of an operator that breaks the contract of operators ("invalid") nothing is asked but that no process dies.
    """

    outcome: str
    kind: str = ""
    way: str = ""
    detail: str = ""
    noise: float = 0.0  # the largest difference that moved inputs made, relative to its group of tensors


def judge(case: Case, run: Compute = compute, begin: Begin = lambda way: None) -> Verdict:
    """Compare all executions of the case with the reference; ``begin`` is called before each way."""
    run = _announced(run, begin)
    try:
        reference = run(case, Way())
    except InputError as error:  # an operator breaks the contract; what the check overlooks may not crash either
        for way in (Way(), *_ways(case)):
            run(case, replace(way, checked=False))
        return Verdict("invalid", detail=_one_line(error))
    if case.path == "search" and not case.keeps_contract():
        return Verdict("finding", "contract unchecked", "", case.describe())
    if any(text in str(reference.error) for text in IN_PLACE):
        return Verdict("invalid", detail=_one_line(reference.error))
    yardstick = Yardstick(case, run, torch.float64, reference.results)
    problem = _first_problem(yardstick, reference, _ways(case))
    if problem is None and reference.error is not None:
        return Verdict("refused", type(reference.error).__name__, "", _one_line(reference.error))
    if problem is None and case.seed % 3 == 0 and case.mode in ("order 1", "backward"):
        problem = _single_precision_problem(case, run, reference)
    if problem is not None:
        return Verdict("finding", *problem, noise=yardstick.noise())
    return Verdict("agreed", "noisy" if yardstick.noise() > NOISY else "", noise=yardstick.noise())


def _single_precision_problem(case: Case, run: Compute, reference: Outcome) -> tuple[str, str, str] | None:
    """Return the first way that does not agree in single precision, here and nearby.

    Where an activation's input is zero to rounding, it has one slope or the other: what differs at these weights alone,
    and not at three others within a few percent, is no fault.
    """
    yardstick = Yardstick(case, run, torch.float32, reference.results)
    yardstick.add(run(case, Way(dtype=torch.float32)).results)
    for way in (Way(*way, dtype=torch.float32) for way in _plain_ways(case)):
        problem = _first_problem(yardstick, reference, [way])
        if problem is not None and any(_differs_nearby(case, run, way, nudge) for nudge in (1, 2, 3)):
            return problem
    return None


def _differs_nearby(case: Case, run: Compute, way: Way, nudge: int) -> bool:
    def run_nearby(case: Case, way: Way) -> Outcome:
        return run(case, replace(way, nudged=nudge))

    reference = run_nearby(case, Way())
    yardstick = Yardstick(case, run_nearby, way.dtype, reference.results)
    yardstick.add(run_nearby(case, Way(dtype=way.dtype)).results)
    return _problem(yardstick, run_nearby(case, way), reference) is not None


def _plain_ways(case: Case) -> list[tuple[str, bool]]:
    """Return executions, and whether compiled kernels are allowed."""
    fused = [("fused", True), ("fused", False)]
    return [*fused, ("batched", True)] if case.path == "search" else fused


def _ways(case: Case) -> list[Way]:
    """Return the ways in which a case is computed besides the plain reference."""
    plain = _plain_ways(case)
    again = [("reference", True), *plain] if case.path == "search" else []
    chosen = random.Random(case.seed).sample(again, min(len(again), 1))
    return [*(Way(*way) for way in plain), *(Way(*way, grad_checkpoint=True) for way in chosen)]


def _announced(run: Compute, begin: Begin) -> Compute:
    """Return ``run`` with a call of ``begin`` before each way, except for those with moved inputs."""

    def announced(case: Case, way: Way) -> Outcome:
        if not way.moved:
            begin(way)
        return run(case, way)

    return announced


class Yardstick:
    """How far the reference's results lie from ``truth`` when what goes in moves by a few units in the last place.

    The truth is the reference's in double precision: how far that moves counts too.
    """

    def __init__(self, case: Case, run: Compute, dtype: torch.dtype, truth: Results) -> None:
        self.case, self.run, self.dtype, self.truth = case, run, dtype, truth
        self.apart = dict.fromkeys(truth, 0.0)
        self.draws = 0

    def draw(self, draws: int) -> None:
        """Compute the reference with moved inputs, until that was done ``draws`` times."""
        for draw in range(self.draws, draws):
            for dtype in {self.dtype, torch.float64}:
                self.add(self.run(self.case, Way(dtype=dtype, moved=MOVED[dtype], draw=draw)).results)
        self.draws = draws

    def add(self, results: Results) -> None:
        """Count the distance of these results of the reference as noise."""
        for name, value in results.items():
            self.apart[name] = max(self.apart[name], distance(value, self.truth[name]))

    def noise(self) -> float:
        """Return the largest distance, relative to the largest value of the group of tensors."""
        sizes = _group_sizes(self.truth)
        return max((apart / (sizes[_group(name)] or 1.0) for name, apart in self.apart.items()), default=0.0)

    def differences(self, results: Results) -> list[str]:
        """Describe each tensor that lies too far from the truth, measured by as many moved inputs as that takes.

        A chain of BatchNorms of constant feature maps multiplies gradients by 1e20 if rounding leaves the maps exactly
        constant, and normalizes the rounding itself if it does not: then no tensor says anything.
        """
        for draws in DRAWS:
            self.draw(max(draws, self.draws))
            different = self._differences(results)
            if not different:
                break
            if results.keys() == self.truth.keys() and self._has_exploded():
                return []
        return different

    def _has_exploded(self) -> bool:
        sizes = _group_sizes(self.truth)
        return any(EXPLODED * max(sizes[_group(n)], 1.0) < apart < torch.inf for n, apart in self.apart.items())

    def _differences(self, results: Results) -> list[str]:
        if results.keys() != self.truth.keys():
            return [f"tensors: {sorted(results.keys() ^ self.truth.keys())}"]
        sizes, different = _group_sizes(self.truth), []
        for name, value in self.truth.items():
            if self.apart[name] > sizes[_group(name)]:
                continue  # not a digit of the reference's own is right
            apart = distance(results[name], value)
            allowed = FACTOR[self.dtype] * self.apart[name] + ABSOLUTE[self.dtype] * sizes[_group(name)]
            if not apart <= allowed:
                different.append(f"{name}: apart {apart:.3g}, allowed {allowed:.3g}, size {size(value):.3g}")
        return different


def _first_problem(yardstick: Yardstick, reference: Outcome, ways: Iterable[Way]) -> tuple[str, str, str] | None:
    """Return the first way that does not agree: kind of difference, way, description."""
    for way in ways:
        problem = _problem(yardstick, yardstick.run(yardstick.case, way), reference)
        if problem is not None:
            kind, detail = problem
            return f"float32: {kind}" if way.dtype is torch.float32 else kind, str(way), detail
    return None


def _problem(yardstick: Yardstick, found: Outcome, reference: Outcome) -> tuple[str, str] | None:
    """Return the kind of difference and its description; None for agreement."""
    if found.error is not None and reference.error is not None:
        texts = _one_line(found.error), _one_line(reference.error)
        same = type(found.error) is type(reference.error)
        return None if same else ("other error", f"{texts[0]} | reference: {texts[1]}")
    if found.error is not None:
        return None if yardstick.case.mode in MAY_RAISE else ("raises", _one_line(found.error))
    if reference.error is not None:
        return "does not raise", f"reference: {_one_line(reference.error)}"
    different = yardstick.differences(found.results)
    return (f"different {_group(different[0])}", _listed(different)) if different else None


def _group(name: str) -> str:
    return name.split()[0]


def _group_sizes(results: Results) -> dict[str, float]:
    """Return the largest value of each group of tensors."""
    sizes: dict[str, float] = {}
    for name, value in results.items():
        sizes[_group(name)] = max(sizes.get(_group(name), 0.0), size(value))
    return sizes


def size(x: Tensor | None) -> float:
    """Return the largest finite absolute value; 0 if there is none."""
    if x is None or x.numel() == 0:
        return 0.0
    return x.double().nan_to_num(0.0, 0.0, 0.0).abs().max().item()


def distance(one: Tensor | None, other: Tensor | None) -> float:
    """Return the largest absolute difference; inf for unequal shapes, a NaN in one of the two, unequal infinities."""
    if one is None or other is None:
        return 0.0 if one is other else torch.inf
    if one.shape != other.shape:
        return torch.inf
    one, other = one.double(), other.double()
    same = (one == other) | (one.isnan() & other.isnan())
    apart = torch.where(same, 0.0, (one - other).abs()).nan_to_num(torch.inf)
    return apart.max().item() if apart.numel() else 0.0


def _listed(different: Sequence[str]) -> str:
    more = f" (and {len(different) - 1} more tensors)" if len(different) > 1 else ""
    return different[0] + more


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
