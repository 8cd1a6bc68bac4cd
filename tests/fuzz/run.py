"""A case computed in one way: outputs, gradients and buffers by name, or the error."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

import nas.models.network
import nas.models.supernet
from nas.kernels import build
from nas.search.bilevel import architecture_gradients, weight_gradients
from tests.fuzz.cases import Case, build_batch, build_network, registered
from tests.fuzz.rounding import Noise, rounded_otherwise

Results = dict[str, Tensor | None]


@dataclass(frozen=True)
class Way:
    """How a case is computed."""

    execution: str = "reference"
    kernels: bool = True
    grad_checkpoint: bool = False
    checked: bool = True  # the contract of operators is checked when the network is built
    dtype: torch.dtype = torch.float64
    moved: float = 0.0  # relative change of inputs, weights and alphas; which one is drawn from ``draw``
    draw: int = 0
    nudged: int = 0  # weights and alphas moved by a percent, the same in all dtypes; which percent is drawn from it

    def __str__(self) -> str:
        words = [self.execution, "" if self.kernels else "without kernels"]
        words += ["grad_checkpoint" if self.grad_checkpoint else "", "float32" if self.dtype is torch.float32 else ""]
        return ", ".join(word for word in words if word)


@dataclass
class Outcome:
    """What a computation came to."""

    results: Results = field(default_factory=dict)
    error: Exception | None = None
    altered: list[str] = field(default_factory=list)


def compute(case: Case, way: Way) -> Outcome:
    """Compute the case; an exception of the computation is part of the outcome."""
    with nullcontext() if way.checked else no_contract():
        network, altered = build_network(case)
    if way.nudged:
        _nudge(network, way.nudged)
    images, labels = build_batch(case)
    network, images = network.to(way.dtype), images.to(way.dtype)
    network.execution = way.execution
    if case.path == "search":
        network.grad_checkpoint = way.grad_checkpoint
    noise = _noise(way)
    if way.moved:
        images = _moved(images, network, way, noise)
    names = set(network.state_dict())
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(registered(case))
        if not way.kernels:
            stack.enter_context(no_kernels())
        if way.moved and way.draw % 8 >= 4:
            stack.enter_context(rounded_otherwise(network, noise))
        torch.manual_seed(case.seed)
        try:
            results = COMPUTATIONS[case.mode](network, images, labels)
        except Exception as error:
            return Outcome({}, error, altered)
    assert set(network.state_dict()) == names, "the computation left the network with other tensors"
    return Outcome(results | _named("buffer", network.named_buffers()), None, altered)


def _nudge(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data.mul_(1 + 0.01 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))


def _noise(way: Way) -> Noise:
    generator = torch.Generator().manual_seed(1000 + way.draw)
    return lambda shape: way.moved * torch.randn(shape, generator=generator, dtype=way.dtype)


def _moved(images: Tensor, network: nn.Module, way: Way, noise: Noise) -> Tensor:
    """Move the parameters and return moved images.

    Equal pixels stay equal in every other draw, and become unequal in the rest. Two of four draws are computed in the
    memory layout of the fused execution, in which torch adds in another order. Four of eight have other roundings
    (:mod:`tests.fuzz.rounding`).
    """
    for parameter in network.parameters():
        parameter.data.mul_(1 + noise(parameter.shape))
    moved = images * (1 + noise(torch.Size([1]))) if way.draw % 2 else images + noise(images.shape) * (1 + images.abs())
    return moved.contiguous(memory_format=torch.channels_last) if way.draw % 4 >= 2 else moved


@contextmanager
def no_kernels() -> Iterator[None]:
    """Within the block no compiled kernels are found."""
    with mock.patch.object(build, "load_library", return_value=(None, "left out")):
        yield


@contextmanager
def no_contract() -> Iterator[None]:
    """Within the block networks are built of operators that were not checked."""
    with ExitStack() as stack:
        for module in (nas.models.supernet, nas.models.network):
            stack.enter_context(mock.patch.object(module, "check_operator_contract"))
        yield


def _named(group: str, tensors: object) -> Results:
    pairs = tensors.items() if isinstance(tensors, Mapping) else tensors
    return {f"{group} {name}": None if t is None else t.detach().clone() for name, t in pairs}


def _bilevel(order: int) -> Callable[[nn.Module, Tensor, Tensor], Results]:
    def compute_gradients(network: nn.Module, images: Tensor, labels: Tensor) -> Results:
        """Return the alphas' gradients, then those of a training pass; the alphas' leaves the buffers alone."""
        batches = (images, labels), (images.flip(0) * 0.9, labels)
        alphas = architecture_gradients(network, *batches, 0.05, order=order)
        found = _named("kept_buffer", network.named_buffers())
        loss, logits, weights = weight_gradients(network, batches[0])
        return (
            found
            | _named("output", {"loss": loss, "logits": logits})
            | _named("alpha", alphas)
            | _named("weight", weights)
        )

    return compute_gradients


def _logits(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
    outputs = network(images)
    return outputs if isinstance(outputs, tuple) else (outputs, None)


def _loss(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    logits, auxiliary = _logits(network, images)
    loss = F.cross_entropy(logits, labels)
    return (loss if auxiliary is None else loss + 0.4 * F.cross_entropy(auxiliary, labels)), logits


def _backward(network: nn.Module, images: Tensor, labels: Tensor) -> Results:
    """Compute two passes of plain ``backward``, with the images' gradient; frozen parameters get none."""
    images.requires_grad_()
    for _ in range(2):
        loss, logits = _loss(network, images, labels)
        loss.backward()
    gradients = ((name, p.grad) for name, p in network.named_parameters())
    return (
        _named("output", {"logits": logits}) | _named("input", {"gradient": images.grad}) | _named("weight", gradients)
    )


def _no_grad(network: nn.Module, images: Tensor, labels: Tensor) -> Results:
    """Compute inference, then gradients, which must not be affected by what inference cached."""
    with torch.inference_mode():
        first = _logits(network, images)[0].clone()
    with torch.no_grad():
        second = _logits(network, images)[0]
    return _named("output", {"inference": first, "no_grad": second}) | _backward(network, images, labels)


def _double_backward(network: nn.Module, images: Tensor, labels: Tensor) -> Results:
    """Compute the alphas' gradient of the squared norm of the weights' gradient."""
    loss, _ = _loss(network, images, labels)
    weights = [w for w in network.weights() if w.requires_grad]
    slopes = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
    squares = sum((slope.square().sum() for slope in slopes), start=loss.new_zeros(()))
    alphas = network.alphas()
    found = torch.autograd.grad(squares, list(alphas.values()), materialize_grads=True)
    return _named("alpha", dict(zip(alphas, found, strict=True)))


def _functional(network: nn.Module, images: Tensor, labels: Tensor) -> Results:
    """Compute the weights' gradients by ``torch.func.grad``."""
    parameters = {name: p.detach() for name, p in network.named_parameters()}

    def loss(values: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(network, values, (images,)), labels)

    return _named("weight", torch.func.grad(loss)(parameters))


COMPUTATIONS: dict[str, Callable[[nn.Module, Tensor, Tensor], Results]] = {
    "order 1": _bilevel(1),
    "order 2": _bilevel(2),
    "backward": _backward,
    "no grad": _no_grad,
    "double backward": _double_backward,
    "torch.func": _functional,
}
