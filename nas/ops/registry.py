"""The registry of operators: the candidates on an edge of a cell, by name.

An operator is a factory ``(channels, stride, affine) -> nn.Module``. Its module maps ``(B, C, H, W)`` to
``(B, C, H, W)`` at stride 1 and to ``(B, C, ceil(H/2), ceil(W/2))`` at stride 2. ``affine`` is that of its BatchNorms:
False in the search, True in retraining.
"""

import functools
import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.registry import Registry
from nas.core.source_files import user_file
from nas.graph.operator_style import OperatorStyle, declare_family_style, declare_style
from nas.graph.space import Space
from nas.graph.space_file import read_space

OperatorFactory = Callable[[int, int, bool], nn.Module]
BatchedForward = Callable[[Sequence[nn.Module], Tensor], Tensor]


@dataclass(frozen=True)
class Operator:
    """A registered operator: its name, its factory, and its options in the search."""

    name: str
    factory: OperatorFactory
    batchnorm_in_search: bool = False
    batched: BatchedForward | None = None

    def build(self, channels: int, stride: int, affine: bool) -> nn.Module:
        """Return the operator's module for one edge."""
        return self.factory(channels, stride, affine)

    def build_for_search(self, channels: int, stride: int) -> nn.Module:
        """Return the module for one mixed edge: non-affine BatchNorms, one also after pools (DARTS, §A.1.1)."""
        module = self.build(channels, stride, affine=False)
        if self.batchnorm_in_search:
            module = nn.Sequential(module, nn.BatchNorm2d(channels, affine=False))
        return module


operators: Registry[Operator] = Registry("operator")
_user_files: set[Path] = set()


def register_operator(
    name: str,
    *,
    batchnorm_in_search: bool = False,
    batched: BatchedForward | None = None,
    super_operator: bool = False,
    color: str | None = None,
) -> Callable[[OperatorFactory], OperatorFactory]:
    """Register the decorated factory ``(channels, stride, affine) -> nn.Module`` as the operator ``name``.

    ``batchnorm_in_search`` appends a BatchNorm during the search only: for operators without one, whose outputs would
    otherwise differ in scale from those of the other operators. ``batched(modules, x)`` computes the modules of N edges
    at once: their inputs, concatenated to (B, N*C, H, W), -> (B, N*C, H', W'), with the same results and buffer updates
    as module by module. Chains of torch's layers are batched automatically; other modules without ``batched`` run edge
    by edge. ``super_operator`` marks a block of several convolutions, which reports show apart; ``color`` (``#rrggbb``)
    is that of its edges in drawings. Raises :class:`InputError` for a name that is taken and for a malformed color.
    """
    style = OperatorStyle(color, super_operator)
    if hasattr(nn.ModuleDict, name):
        raise InputError(f"operator {name!r}: reserved by torch.nn.ModuleDict; choose another name")

    def register(factory: OperatorFactory) -> OperatorFactory:
        operators.register(name, Operator(name, factory, batchnorm_in_search, batched))
        if style != OperatorStyle():
            declare_style(name, style)
        return factory

    return register


def register_operator_family(
    form: str, pattern: str, *, super_operator: bool = False, color: str | None = None
) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Register a factory whose names carry options: the named groups of ``pattern`` become keyword arguments.

    The factory is ``(channels, stride, affine, **groups) -> nn.Module`` with every group a string or None; ``form``
    is the pattern as shown to users. ``super_operator`` and ``color`` are those of :func:`register_operator`.
    Raises :class:`InputError` for a malformed color.
    """
    style = OperatorStyle(color, super_operator)

    def register(factory: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        members: dict[str, Operator] = {}  # one object per name, so that what is known of it can be kept

        def make(match: re.Match[str]) -> Operator:
            options = match.groupdict()
            member = Operator(match.group(), functools.partial(factory, **options))
            return members.setdefault(match.group(), member)

        operators.register_family(form, pattern, make)
        if style != OperatorStyle():
            declare_family_style(pattern, style)
        return factory

    return register


def list_operators() -> list[str]:
    """Return the names of all registered operators, in order of registration, without those of families."""
    return list(operators)


def operator_file(name: str) -> Path | None:
    """Return the file that defines the operator; None if it ships with this package or has no file."""
    return user_file(operators[name].factory)


def load_space(spec: str) -> Space:
    """Return the search space ``spec`` (``darts+sandglass``, or paths to YAML files) after checking its operator names.

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
    """Run the user's Python file ``path``, which registers operators or datasets; each file runs once per process."""
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
        reason = " ".join(str(error).split())
        raise InputError(f"ops={path}: {type(error).__name__}: {reason}") from error
    _user_files.add(file)
