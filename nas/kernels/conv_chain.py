"""Chains of convolutions with BatchNorms and activations between them, as units that the compiled kernels run.

A unit is what ``conv_unit.h`` computes at once: BatchNorm, clamp, depthwise and pointwise convolution, each of which
may be missing. A separable convolution is one unit, DARTS' ``sep_conv`` is two, the sandglass block is four.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nas.kernels.convolution import DEPTHWISE_KERNELS
from nas.kernels.memory_format import empty_channels_last
from nas.kernels.native import UnitPrologue, UnitSizes, call_kernel, supported

Clamp = tuple[float, float]
Shape = tuple[int, ...]

_MAX_PADDING = 32  # a padded image lies in each core's cache


@dataclass(frozen=True)
class ConvUnit:
    """pointwise(depthwise(clamp(norm(x)))), with at least one of the convolutions.

    A factorized reduction has two ``pointwise`` layers and no depthwise one: for the even pixels and for the odd ones,
    each with half of the output channels.
    """

    norm: nn.BatchNorm2d | None
    clamp: Clamp | None
    depthwise: nn.Conv2d | None
    pointwise: tuple[nn.Conv2d, ...]

    @property
    def channels(self) -> int:
        """The number of output channels."""
        layers = self.pointwise or (self.depthwise,)
        return sum(layer.out_channels for layer in layers if layer is not None)

    @property
    def weights(self) -> list[Tensor]:
        """The weights of the convolutions, the depthwise one first."""
        layers = (self.depthwise, *self.pointwise)
        return [layer.weight for layer in layers if layer is not None]

    @property
    def stride(self) -> int:
        """The stride of the depthwise convolution, 2 for a factorized reduction."""
        return 2 if len(self.pointwise) == 2 else 1 if self.depthwise is None else self.depthwise.stride[0]

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for an input of ``shape``."""
        batch, _, height, width = shape
        stride = self.stride
        return batch, self.channels, (height - 1) // stride + 1, (width - 1) // stride + 1

    def accepts(self, channels: int, weights: Sequence[Tensor]) -> bool:
        """Return whether the weights have the shapes that its layers declare, for an input of so many channels."""
        first = 0
        if self.depthwise is not None:
            kernel, dilation = self.depthwise.kernel_size[0], self.depthwise.dilation[0]
            if kernel not in DEPTHWISE_KERNELS or dilation * (kernel // 2) > _MAX_PADDING:
                return False
            if weights[0].shape != (channels, 1, kernel, kernel):
                return False
            first = 1
        for weight, layer in zip(weights[first:], self.pointwise, strict=True):
            if weight.shape != (layer.out_channels, channels, 1, 1):
                return False
        return True


def chain_shapes(chain: Sequence[ConvUnit], x: Tensor) -> list[Shape] | None:
    """Return the shape of each unit's output on ``x``; None without units, or if the compiled kernels cannot run them.

    They can if all dtypes, devices and shapes fit each other.
    """
    if not chain or x.ndim != 4 or torch.is_autocast_enabled("cpu"):
        return None
    weights = [unit.weights for unit in chain]
    if not supported(x, *(weight for own in weights for weight in own)):
        return None
    shape: Shape = tuple(x.shape)
    shapes = []
    for unit, own in zip(chain, weights, strict=True):
        if not unit.accepts(shape[1], own):
            return None
        shape = unit.output_shape(shape)
        shapes.append(shape)
    return shapes


@dataclass(frozen=True)
class Moments:
    """Means and biased variances as the kernels write and read them: rows of (2, n, C) float64."""

    values: Tensor
    row: int = 0  # of the n

    @classmethod
    def empty(cls, channels: int) -> "Moments":
        """Return uninitialized moments of one tensor."""
        return cls(torch.empty(2, 1, channels, dtype=torch.float64))

    @property
    def addresses(self) -> tuple[int, int]:
        """The addresses of mean and variance, (C,) each; computed without making tensors of them."""
        _, rows, channels = self.values.shape
        first, line = self.values.data_ptr(), channels * self.values.element_size()
        return first + self.row * line, first + (rows + self.row) * line


class GradOutput(NamedTuple):
    """What the gradient by a unit's output z is made of, as in ``conv_unit_backward.cpp``.

    ``rows`` (4, C) are those of ``BatchNormGrad`` in ``batchnorm.h``; None: ``grad`` itself is the gradient by z.
    """

    grad: Tensor
    pixel_stride: int
    z: Tensor
    rows: Tensor | None


class UnitRun:
    """One run of a unit: its sizes, and what its gradient needs besides tensors of the network."""

    def __init__(self, unit: ConvUnit, input_shape: Shape, shape: Shape, moments: Moments | None) -> None:
        self.input_shape, self.shape = input_shape, shape
        self.moments = moments  # of x, for the BatchNorm
        self.has_depthwise = unit.depthwise is not None
        self.sizes = _unit_sizes(unit, input_shape, shape)
        self.prologue = _prologue(unit, input_shape[1], moments)

    def forward(self, x: Tensor, weights: Sequence[Tensor], moments: Moments | None) -> Tensor:
        """Return the output (B, C', H', W'), and write its mean and variance to ``moments``."""
        z = empty_channels_last(self.shape, x)
        arguments = [self.sizes, x, self.prologue, *self._joined(weights), z]
        call_kernel("unit_forward", x.dtype, *arguments, *((None, None) if moments is None else moments.addresses))
        return z

    def backward(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        grad_output: GradOutput,
        grad_x: Tensor | None,
        accumulate: bool,
        needs_weights: Sequence[bool],
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Write the gradient by the normalized x to ``grad_x``, or add it.

        Return the rows that turn it into the gradient before the BatchNorm, and the gradients of the weights that need
        one.
        """
        channels = self.input_shape[1]
        rows = x.new_empty(4, channels) if self.moments is not None and grad_x is not None else None
        joined = self._joined(weights)
        grad_depthwise = x.new_empty(weights[0].shape) if self.has_depthwise and needs_weights[0] else None
        grad_pointwise = None
        if any(needs_weights[self.has_depthwise :]):
            grad_pointwise = x.new_empty(self.sizes.out_C, channels, 1, 1)
        arguments = [self.sizes, x, self.prologue, *joined, *grad_output, grad_x, accumulate, rows]
        call_kernel("unit_backward", x.dtype, *arguments, grad_depthwise, grad_pointwise)
        grads = [grad_depthwise] if self.has_depthwise else []
        begin = 0
        for weight in weights[self.has_depthwise :]:
            grads.append(None if grad_pointwise is None else grad_pointwise[begin : begin + len(weight)])
            begin += len(weight)
        return rows, grads

    def _joined(self, weights: Sequence[Tensor]) -> list[Tensor | None]:
        """Return the weight of the depthwise convolution and that of all pointwise ones; None if there is none."""
        dense = [weight.contiguous() for weight in weights]
        points = dense[self.has_depthwise :]
        pointwise = torch.cat(points) if len(points) > 1 else points[0] if points else None
        return [dense[0] if self.has_depthwise else None, pointwise]


def _unit_sizes(unit: ConvUnit, shape: Shape, output_shape: Shape) -> UnitSizes:
    batch, channels, height, width = shape
    kernel, stride, dilation = 0, 1, 1
    layer = unit.depthwise
    if layer is not None:
        kernel, stride, dilation = layer.kernel_size[0], layer.stride[0], layer.dilation[0]
    out_channels = output_shape[1] if unit.pointwise else 0
    even = unit.pointwise[0].out_channels if len(unit.pointwise) == 2 else 0
    sizes = (batch, height, width, channels, *output_shape[2:], out_channels, kernel, stride, dilation, even)
    return UnitSizes(*sizes)


def _prologue(unit: ConvUnit, channels: int, moments: Moments | None) -> UnitPrologue:
    low, high = unit.clamp or (0.0, 0.0)
    if unit.norm is None:
        return UnitPrologue(None, None, 0.0, 0, unit.clamp is not None, low, high)
    if moments is None or moments.values.shape[2] != channels:
        raise ValueError(f"BatchNorm between convolutions: its input has {channels} channels, and no moments for them")
    return UnitPrologue(*moments.addresses, unit.norm.eps, unit.norm.training, unit.clamp is not None, low, high)


class ChainRun:
    """One run of a chain of units: what the forward pass keeps for the gradient besides tensors of the network."""

    def __init__(self, units: Sequence[ConvUnit], shapes: Sequence[Shape]) -> None:
        self.units, self.shapes = units, shapes  # of the outputs, as chain_shapes returns them
        self._runs: list[UnitRun] = []
        ends = list(accumulate(((unit.depthwise is not None) + len(unit.pointwise) for unit in units), initial=0))
        self._slices = [slice(*ends) for ends in pairwise(ends)]  # of the weights
        self.weight_count = ends[-1]

    @property
    def batch_stats(self) -> list[tuple[nn.BatchNorm2d, Tensor, Tensor, int]]:
        """The BatchNorms between the units, the mean and biased variance of their input, and its number of pixels."""
        stats = []
        for unit, run in zip(self.units, self._runs, strict=True):
            if unit.norm is not None and unit.norm.training:
                assert run.moments is not None
                stats.append((unit.norm, *run.moments.values[:, 0], run.sizes.B * run.sizes.H * run.sizes.W))
        return stats

    def forward(self, x: Tensor, weights: Sequence[Tensor], moments: Moments | None) -> list[Tensor]:
        """Return the output of each unit, and write the mean and variance of the last to ``moments``."""
        outputs: list[Tensor] = []
        current: Moments | None = None
        shape: Shape = tuple(x.shape)
        for index, (unit, part) in enumerate(zip(self.units, self._slices, strict=True)):
            if unit.norm is not None and not unit.norm.training:
                current = _running_moments(unit.norm)
            run = UnitRun(unit, shape, self.shapes[index], current)
            shape = run.shape
            if index + 1 == len(self.units):
                current = moments
            else:
                norm = self.units[index + 1].norm
                current = Moments.empty(run.shape[1]) if norm is not None and norm.training else None
            x = run.forward(x, weights[part], current)
            self._runs.append(run)
            outputs.append(x)
        return outputs

    def backward(
        self,
        x: Tensor,
        outputs: Sequence[Tensor],
        weights: Sequence[Tensor],
        grad_output: GradOutput,
        grad_x: Tensor | None,
        accumulate: bool,
        needs_weights: Sequence[bool],
    ) -> list[Tensor | None]:
        """Write the gradient by x to ``grad_x``, or add it; return the gradients of the weights that need one."""
        grads: list[Tensor | None] = []
        for index in reversed(range(len(self.units))):
            part, first = self._slices[index], index == 0
            own = x if first else outputs[index - 1]
            target = grad_x if first else empty_channels_last(own.shape, own)
            rows, own_grads = self._runs[index].backward(
                own, weights[part], grad_output, target, accumulate and first, needs_weights[part]
            )
            grads[:0] = own_grads
            if target is not None:
                grad_output = GradOutput(target, target.shape[1], own, rows)
        return grads


def _running_moments(norm: nn.BatchNorm2d) -> Moments:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return Moments(torch.stack([norm.running_mean, norm.running_var]).double().cpu().unsqueeze(1))
