"""The contract of an operator's module, checked on small batches before it is trained (docs/operators.md)."""

import copy
import functools
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes

from nas.core.errors import InputError
from nas.graph.space import Space
from nas.ops.registry import Operator, operators

_TRAIN_SIZE = (3, 5, 7)  # (B, H, W), of the passes in training mode
_EVAL_SIZE = (2, 8, 8)
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)


def check_operators(
    space: Space | Iterable[str], channels: int | Iterable[int] = 16, *, in_search: bool = True
) -> None:
    """Raise :class:`InputError` for the first operator whose module breaks the contract.

    ``space`` is a space or the names of operators, ``channels`` the widths at which they are built, ``in_search``
    whether they are built as in the search or as in retraining. Each operator is built on the CPU, once per process,
    width and stride. Random generators keep their states.
    """
    names = space.operators if isinstance(space, Space) else space
    in_search = in_search and not (isinstance(space, Space) and space.operators_as_retrained)
    widths = (channels,) if isinstance(channels, int) else tuple(channels)
    for name in dict.fromkeys(names):
        for width in dict.fromkeys(widths):
            for stride in (1, 2):
                check_operator_contract(name, width, stride, in_search=in_search)


def check_operator_contract(name: str, channels: int, stride: int, *, in_search: bool = True) -> None:
    """Raise :class:`InputError` if the operator's module breaks the contract at this width and stride."""
    if torch.empty(0).device.type != "meta":  # there a model is built for its sizes alone
        _check(operators[name], channels, stride, in_search)


def require_output(y: object, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return ``y``; raise :class:`InputError` unless it has ``shape`` and the dtype and device of ``like``."""
    if not isinstance(y, Tensor):
        raise InputError(f"operator {name}: returned {type(y).__name__}; required: a tensor")
    if tuple(y.shape) != shape:
        raise InputError(f"operator {name}: returned the shape {tuple(y.shape)}; required: {shape}")
    other_dtype = y.dtype is not like.dtype and not is_autocasting(like.device.type)
    if other_dtype or y.device != like.device or y.layout is not torch.strided:
        given, wanted = (f"{x.dtype} on {x.device} ({x.layout})" for x in (y, like))
        raise InputError(f"operator {name}: returned {given}; required: {wanted}")
    return y


def is_autocasting(device_type: str) -> bool:
    """Return whether autocast is enabled for a kind of device; some, such as ``meta``, have none."""
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)


@functools.cache
def _check(operator: Operator, channels: int, stride: int, in_search: bool) -> None:
    """Build the operator and check it; a passed check is remembered, a failed one raises again."""
    label = f"{operator.name}, stride {stride}"
    with _undisturbed(), _refuse_other_randomness(label):
        try:
            module = (
                operator.build_for_search(channels, stride) if in_search else operator.build(channels, stride, True)
            )
        except Exception as error:
            raise InputError(f"operator {label}: cannot be built for {channels} channels: {_text(error)}") from error
        if not isinstance(module, nn.Module):
            raise InputError(f"operator {label}: built {type(module).__name__}; required: a torch.nn.Module")
        _check_module(module, label, channels, stride)


def _check_module(module: nn.Module, label: str, channels: int, stride: int) -> None:
    for part in module.modules():
        if any(isinstance(value, _GENERATORS) for value in vars(part).values()):
            raise InputError(
                f"operator {label}: has a random generator of its own, which checkpoints lack; use torch.rand"
            )
    state = copy.deepcopy(module.state_dict())
    seed = torch.get_rng_state()
    first = _output(module.train(), label, channels, stride, _TRAIN_SIZE)
    module.load_state_dict(state)
    torch.set_rng_state(seed)
    second = _output(module.train(), label, channels, stride, _TRAIN_SIZE)
    if not torch.allclose(first, second, rtol=1e-4, atol=1e-5):
        raise InputError(
            f"operator {label}: two passes with equal input, state_dict and torch seed differ; keep its state in "
            "buffers and draw from torch's generator"
        )
    _output(module.eval(), label, channels, stride, _EVAL_SIZE)


def _output(module: nn.Module, label: str, channels: int, stride: int, size: tuple[int, int, int]) -> Tensor:
    """Return the module's output for a random batch, after checking all that concerns a single call."""
    batch, height, width = size
    x = torch.randn(batch, channels, height, width).requires_grad_() * 1  # no leaf: a change in place raises nothing
    before = x.detach().clone()
    try:
        y = module(x)
    except Exception as error:
        mode = "training" if module.training else "evaluation"
        raise InputError(f"operator {label}: fails for {tuple(x.shape)} in {mode}: {_text(error)}") from error
    shape = (batch, channels, -(-height // stride), -(-width // stride))
    y = require_output(y, f"{label}, input {tuple(before.shape)}", shape, before)
    if x._version or not torch.equal(x, before):
        raise InputError(
            f"operator {label}: changes its input in place, which other edges read; build its first layer with "
            "inplace=False"
        )
    if not y.isfinite().all():
        raise InputError(f"operator {label}: returned values that are not finite for a standard normal input")
    return y.detach()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Run on the CPU in plain eager mode by one thread, and leave torch's settings and generator as they were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several only wait for each other on so small a batch
    try:
        with _plain_cpu():
            yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _plain_cpu() -> Iterator[None]:
    with (
        _disable_current_modes(),
        torch.device("cpu"),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.random.fork_rng(devices=[]),
    ):
        yield


@contextmanager
def _refuse_other_randomness(label: str) -> Iterator[None]:
    """Refuse draws from the global generators of Python and NumPy, which checkpoints lack; restore their states."""
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    failure = None
    try:
        yield
    except InputError as error:
        failure = error
    finally:
        changed = ["random"] if random.getstate() != python else []
        changed += ["numpy.random"] if not _same(np.random.get_state(legacy=False), numpy) else []
        random.setstate(python)
        np.random.set_state(numpy)
    if changed:
        raise InputError(f"operator {label}: draws from {changed[0]}, which checkpoints lack; use torch.rand")
    if failure is not None:
        raise failure


def _same(state: Any, other: Any) -> bool:
    """Return whether two states of NumPy's legacy generator are equal."""
    keys = np.array_equal(state["state"]["key"], other["state"]["key"])
    return keys and state["state"]["pos"] == other["state"]["pos"] and state["has_gauss"] == other["has_gauss"]


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
