"""Chains of convolutions with BatchNorms and activations between them, taken apart for the compiled kernels.

A link is what ``conv_unit.h`` computes in one go: BatchNorm, clamp, depthwise and pointwise convolution, each of which
may be missing. A separable convolution is one link, DARTS' ``sep_conv`` are two, the sandglass block is four.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.kernels import memory_format
from nas.kernels.batchnorm_stats import BatchNormStats
from nas.kernels.build import call_kernel, supported
from nas.kernels.convolution import factorized_pointwise, split_pixels

Clamp = tuple[float, float]


@dataclass(frozen=True)
class ConvUnit:
    """x -> depthwise(clamp(norm(x))), then pointwise of it; at least one of the convolutions is there.

    ``pointwise`` are two where they halve the resolution: of the even pixels and of the odd ones, half of the channels
    each; then there is no depthwise convolution.
    """

    norm: nn.BatchNorm2d | None
    clamp: Clamp | None
    depthwise: nn.Conv2d | None
    pointwise: tuple[nn.Conv2d, ...]

    @property
    def channels(self) -> int:
        """Of its output."""
        layers = self.pointwise or (self.depthwise,)
        return sum(layer.out_channels for layer in layers if layer is not None)

    @property
    def weights(self) -> list[Tensor]:
        """Those of its convolutions."""
        layers = (self.depthwise, *self.pointwise)
        return [layer.weight for layer in layers if layer is not None]


def chain_supported(chain: Sequence[ConvUnit], x: Tensor) -> bool:
    """Whether the compiled kernels can run the links on ``x``."""
    weights = [weight for link in chain for weight in link.weights]
    return supported(x, *weights) and not torch.is_autocast_enabled("cpu")


def run_chain_torch(chain: Sequence[ConvUnit], x: Tensor, statistics: BatchNormStats) -> Tensor:
    """The links one behind the other, by stock torch: (B, C, H, W) -> (B, C', H', W')."""
    for link in chain:
        if link.norm is not None:
            x = batch_norm_torch(x, [link.norm], statistics)
        x = x if link.clamp is None else x.clamp(*link.clamp)
        x = x if link.depthwise is None else link.depthwise(x)
        if len(link.pointwise) == 2:
            x = factorized_pointwise(split_pixels(x), [layer.weight for layer in link.pointwise])
        elif link.pointwise:
            x = link.pointwise[0](x)
    return x


def batch_norm_torch(
    x: Tensor, norms: Sequence[nn.BatchNorm2d], statistics: BatchNormStats, scale: Tensor | None = None
) -> Tensor:
    """``x`` behind a BatchNorm, times ``scale`` (C,), once for all ``norms`` that see the same."""
    norm = norms[0]
    if not norm.training:
        return F.batch_norm(x, norm.running_mean, norm.running_var, scale, None, False, 0.0, norm.eps)
    assert norm.running_mean is not None
    mean, variance = torch.zeros_like(norm.running_mean), torch.zeros_like(norm.running_mean)
    y = F.batch_norm(x, mean, variance, scale, None, True, 1.0, norm.eps)  # momentum 1: they become the batch's
    for each in norms:
        statistics.add(each, mean, variance)
    return y


class UnitSizes(ctypes.Structure):
    """The sizes of a link: ``struct Unit`` of ``conv_unit.h``."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("B", "H", "W", "C", "out_H", "out_W", "out_C", "kernel", "stride", "dilation", "even")
    ]


class UnitPrologue(ctypes.Structure):
    """BatchNorm and clamp of a link: ``struct InFront`` of ``conv_unit.h``."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("mean", "var")),
        ("eps", ctypes.c_double),
        *((name, ctypes.c_int64) for name in ("batch", "clamp")),
        *((name, ctypes.c_double) for name in ("low", "high")),
    ]


@dataclass(frozen=True)
class Moments:
    """Means and biased variances as the kernels write and read them: rows of (2, n, C) float64."""

    values: Tensor
    row: int = 0  # of the n

    @classmethod
    def room(cls, channels: int) -> "Moments":
        """For those of one tensor, to be written."""
        return cls(torch.empty(2, 1, channels, dtype=torch.float64))

    @property
    def addresses(self) -> tuple[int, int]:
        """Of the mean and of the variance, (C,) each; no tensor is made for them."""
        _, rows, channels = self.values.shape
        first, line = self.values.data_ptr(), channels * self.values.element_size()
        return first + self.row * line, first + (rows + self.row) * line


# (g, its step between pixels, z, coefficients (3, C) or None): dL/dz is
# coefficients[0] * g + coefficients[1] * z + coefficients[2], or g itself
OutputGradient = tuple[Tensor, int, Tensor, Tensor | None]


class UnitRun:
    """A link that has been run: what it made of its input, and what its gradient needs to know."""

    def __init__(self, link: ConvUnit, x: Tensor, moments: Moments | None) -> None:
        self.unit, self.shape = _sizes(link, x)
        self.moments = moments  # of x, for the BatchNorm
        self.in_front = _in_front(link, moments)
        self.taps = link.depthwise is not None

    def forward(self, x: Tensor, weights: Sequence[Tensor], moments: Moments | None) -> Tensor:
        """The link's output (B, C', H', W'), whose mean and variance go to ``moments``."""
        z = memory_format.empty_channels_last(self.shape, x)
        to = (None, None) if moments is None else moments.addresses
        call_kernel("unit_forward", x.dtype, self.unit, x, self.in_front, *self._placed(weights), z, *to)
        return z

    def backward(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        slope: OutputGradient,
        by_x: Tensor | None,
        add: bool,
        weights_too: Sequence[bool],
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Write the gradient by the normalised x to ``by_x``, or add it.

        Gives the coefficients that make of it the gradient in front of the BatchNorm, and the weights' gradients
        where they are asked for.
        """
        normed = self.moments is not None and by_x is not None
        coefficients = x.new_empty(3, x.shape[1]) if normed else None
        depthwise = x.new_empty(weights[0].shape) if self.taps and weights_too[0] else None
        pointwise = None
        if any(weights_too[self.taps :]):
            pointwise = x.new_empty(self.unit.out_C, x.shape[1], 1, 1)
        g, step, z, given = slope
        arguments = [self.unit, x, self.in_front, *self._placed(weights), g, step, z, given, by_x, add, coefficients]
        call_kernel("unit_backward", x.dtype, *arguments, depthwise, pointwise)
        found = [depthwise] if self.taps else []
        begin = 0
        for weight in weights[self.taps :]:
            found.append(None if pointwise is None else pointwise[begin : begin + len(weight)])
            begin += len(weight)
        return coefficients, found

    def _placed(self, weights: Sequence[Tensor]) -> list[Tensor | None]:
        """The weight of the depthwise convolution, and that of the pointwise ones; None where there is none."""
        weights = [weight.contiguous() for weight in weights]
        points = weights[self.taps :]
        point = torch.cat(list(points)) if len(points) > 1 else points[0] if points else None
        return [weights[0] if self.taps else None, point]


def _sizes(link: ConvUnit, x: Tensor) -> tuple[UnitSizes, tuple[int, ...]]:
    batch, channels, height, width = x.shape
    kernel, stride, dilation = 0, 1, 1
    if link.depthwise is not None:
        kernel, stride, dilation = (
            pair[0] for pair in (link.depthwise.kernel_size, link.depthwise.stride, link.depthwise.dilation)
        )
    even = link.pointwise[0].out_channels if len(link.pointwise) == 2 else 0
    step = 2 if even else stride
    out = ((height - 1) // step + 1, (width - 1) // step + 1)
    made = link.channels if link.pointwise else 0
    sizes = (batch, height, width, channels, *out, made, kernel, stride, dilation, even)
    return UnitSizes(*sizes), (batch, link.channels, *out)


def _in_front(link: ConvUnit, moments: Moments | None) -> UnitPrologue:
    low, high = link.clamp or (0.0, 0.0)
    if link.norm is None:
        return UnitPrologue(None, None, 0.0, 0, link.clamp is not None, low, high)
    assert moments is not None
    return UnitPrologue(*moments.addresses, link.norm.eps, link.norm.training, link.clamp is not None, low, high)


class ChainRun:
    """Links on their way through: what their forward pass leaves for their gradient, besides tensors of the network."""

    def __init__(self, links: Sequence[ConvUnit]) -> None:
        self.units = links
        self._made: list[UnitRun] = []
        ends = list(accumulate((len(link.weights) for link in links), initial=0))
        self._parts = [slice(*ends) for ends in pairwise(ends)]  # of the weights
        self.weights = ends[-1]  # how many

    @property
    def seen(self) -> list[tuple[nn.BatchNorm2d, Tensor, Tensor, int]]:
        """BatchNorms between the links, the mean and biased variance that they saw, and of how many pixels."""
        found = []
        for link, made in zip(self.units, self._made, strict=True):
            if link.norm is not None and link.norm.training:
                assert made.moments is not None
                found.append((link.norm, *made.moments.values[:, 0], made.unit.B * made.unit.H * made.unit.W))
        return found

    def forward(self, x: Tensor, weights: Sequence[Tensor], moments: Moments | None) -> list[Tensor]:
        """What each of the links makes; the mean and variance of the last go to ``moments``."""
        found: list[Tensor] = []
        seen: Moments | None = None
        for index, (link, part) in enumerate(zip(self.units, self._parts, strict=True)):
            if link.norm is not None and not link.norm.training:
                seen = _running(link.norm)
            made = UnitRun(link, x, seen)
            if index + 1 == len(self.units):
                seen = moments
            else:
                behind = self.units[index + 1].norm
                seen = Moments.room(made.shape[1]) if behind is not None and behind.training else None
            x = made.forward(x, weights[part], seen)
            self._made.append(made)
            found.append(x)
        return found

    def backward(
        self,
        x: Tensor,
        outputs: Sequence[Tensor],
        weights: Sequence[Tensor],
        slope: OutputGradient,
        by_x: Tensor | None,
        add: bool,
        asked: Sequence[bool],
    ) -> list[Tensor | None]:
        """Write the gradient by x to ``by_x``, or add it; gives those by the weights that are ``asked`` for."""
        found: list[Tensor | None] = []
        for index in reversed(range(len(self.units))):
            part, first = self._parts[index], index == 0
            own = x if first else outputs[index - 1]
            target = by_x if first else memory_format.empty_channels_last(own.shape, own)
            made = self._made[index]
            coefficients, by_own = made.backward(own, weights[part], slope, target, add and first, asked[part])
            found[:0] = by_own
            if target is not None:
                slope = (target, target.shape[1], own, coefficients)
        return found


def _running(norm: nn.BatchNorm2d) -> Moments:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return Moments(torch.stack([norm.running_mean, norm.running_var]).double().unsqueeze(1))
