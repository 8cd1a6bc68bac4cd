"""Operators by name: what an edge of a cell may compute.

An operator is a factory ``(channels, stride, affine) -> nn.Module``. Its module maps ``(B, C, H, W)`` to
``(B, C, H, W)`` at stride 1 and to ``(B, C, ceil(H/2), ceil(W/2))`` at stride 2; ``affine`` says whether its
BatchNorms learn a scale and a shift (off in the search, on in retraining).
"""

import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.registry import Registry
from nas.graph.space import Space, read_space

Factory = Callable[[int, int, bool], nn.Module]
Batched = Callable[[Sequence[nn.Module], Tensor], Tensor]


@dataclass(frozen=True)
class Operator:
    """A registered operator: its name, its factory, and what the search adds to it."""

    name: str
    factory: Factory
    batchnorm_in_search: bool = False
    batched: Batched | None = None

    def build(self, channels: int, stride: int, affine: bool) -> nn.Module:
        """The operator's module for one edge."""
        return self.factory(channels, stride, affine)

    def build_for_search(self, channels: int, stride: int) -> nn.Module:
        """The operator's module for one mixed edge: BatchNorm without affine, also behind pools (DARTS, §A.1.1)."""
        module = self.build(channels, stride, affine=False)
        if self.batchnorm_in_search:
            module = nn.Sequential(module, nn.BatchNorm2d(channels, affine=False))
        return module


operators: Registry[Operator] = Registry("operator")
_user_files: set[Path] = set()


def register_operator(
    name: str, *, batchnorm_in_search: bool = False, batched: Batched | None = None
) -> Callable[[Factory], Factory]:
    """Register the decorated factory ``(channels, stride, affine) -> nn.Module`` as the operator ``name``.

    ``batchnorm_in_search`` puts a BatchNorm behind the operator during the search only: for operators without one
    of their own, whose outputs would otherwise differ in scale from their rivals'. ``batched`` runs the modules of N
    edges at once: (modules, the edges' inputs (B, N*C, H, W) one behind the other) -> (B, N*C, H', W'), the same as the
    modules one by one, their buffers included. Chains of torch's layers need none, they are put together of
    themselves; other modules without one are run edge by edge. Raises :class:`InputError` for
    a name that is taken.
    """
    if hasattr(nn.ModuleDict, name):
        raise InputError(f"operator {name!r}: torch uses this name itself; choose another")

    def register(factory: Factory) -> Factory:
        operators.register(name, Operator(name, factory, batchnorm_in_search, batched))
        return factory

    return register


def register_operator_family(form: str, pattern: str) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Register a factory whose names carry options: the named groups of ``pattern`` become keyword arguments.

    The factory is ``(channels, stride, affine, **groups) -> nn.Module`` with every group a string or None; ``form``
    is how the names are shown to people.
    """

    def register(factory: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        def make(match: re.Match[str]) -> Operator:
            options = match.groupdict()
            return Operator(match.group(), lambda c, stride, affine: factory(c, stride, affine, **options))

        operators.register_family(form, pattern, make)
        return factory

    return register


def list_operators() -> list[str]:
    """The names of all registered operators, in the order of registration; families' members are not listed."""
    return list(operators)


def load_space(spec: str) -> Space:
    """The search space that ``spec`` names (``darts+sandglass``, or paths to YAML files), its operators checked.

    Raises :class:`InputError` for an unknown space or operator and for conflicting topologies.
    """
    space = read_space(spec)
    for name in space.operators:
        try:
            operators[name]
        except InputError as error:
            raise InputError(f"space={spec}: {error}") from None
    return space


def load_user_operators(path: str | Path) -> None:
    """Run the user's own Python file ``path``, which registers operators; a file is run once per process."""
    file = Path(path).expanduser().resolve()
    if file in _user_files:
        return
    if not file.is_file():
        raise InputError(f"ops={path}: no such file; give the path of a Python file that registers operators")
    spec = importlib.util.spec_from_file_location(f"nas_user_operators_{len(_user_files)}", file)
    if spec is None or spec.loader is None:
        raise InputError(f"ops={path}: not a Python file (it must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except InputError as error:
        raise InputError(f"ops={path}: {error}") from None
    except (Exception, SystemExit) as error:
        raise InputError(f"ops={path}: {type(error).__name__}: {error}") from error
    _user_files.add(file)
