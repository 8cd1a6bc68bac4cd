"""Building blocks of mobile networks: convolution, norm and activation; the inverted residual and the sandglass block.

"Rethinking Bottleneck Structure for Efficient Mobile Network Design" (arXiv 2007.02269), §3.2, and MobileNetV2
(arXiv 1801.04381), §3.3. A block takes its channels in and out, and how to make its norms and activations. It is a
flat chain of layers, in a :class:`Residual` if it has a shortcut, so that its ``state_dict`` numbers its layers.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor, nn

from nas.core.errors import InputError

__all__ = [
    "Residual",
    "add_shortcut_if_same_shape",
    "batchnorm",
    "conv_norm_act",
    "depthwise",
    "inverted_residual_block",
    "sandglass_block",
]

MakeNorm = Callable[[int], nn.Module]  # channels -> norm
MakeActivation = Callable[[], nn.Module]
MakeAttention = Callable[[int], nn.Module]  # channels -> a module that keeps the shape, such as squeeze-excitation


class Residual(nn.Module):
    """``branch(x)`` plus the first ``share`` of the channels of ``x``: the identity tensor multiplier, eq. 4.

    ``branch`` maps (B, C, H, W) to (B, C, H, W), C = ``channels``; ``share`` lies in 0..1. Raises
    :class:`InputError` for another share.
    """

    def __init__(self, branch: nn.Module, channels: int, share: Fraction = Fraction(1)) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise InputError(f"share={share}: must lie in 0..1")
        self.branch = branch
        self.channels = channels
        self.shared = int(share * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        return self.add_shortcut(self.branch(x), x)

    def add_shortcut(self, y: Tensor, x: Tensor) -> Tensor:
        """Add the shared channels of ``x`` to the branch's output ``y``, (B, C, H, W) both."""
        if self.shared == self.channels:
            return y + x
        if self.shared == 0:
            return y
        return torch.cat([y[:, : self.shared] + x[:, : self.shared], y[:, self.shared :]], dim=1)


def batchnorm(affine: bool) -> MakeNorm:
    """Return a function that makes BatchNorms, with scale and shift if ``affine``."""
    return partial(nn.BatchNorm2d, affine=affine)


def conv_norm_act(
    c_in: int,
    c_out: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    norm: MakeNorm = nn.BatchNorm2d,
    activation: MakeActivation | None = None,
    convolution: type[nn.Conv2d] = nn.Conv2d,
) -> list[nn.Module]:
    """Return the layers: ``convolution`` without bias, norm, and activation unless None.

    They map (B, c_in, H, W) to (B, c_out, ceil(H/stride), ceil(W/stride)). Raises :class:`InputError` for an even
    ``kernel`` and for channels that ``groups`` does not divide.
    """
    if kernel % 2 == 0:
        raise InputError(f"kernel={kernel}: must be odd, so that the padding keeps the size")
    if c_in % groups or c_out % groups:
        raise InputError(f"groups={groups}: must divide c_in={c_in} and c_out={c_out}")
    conv = convolution(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, norm(c_out), *([] if activation is None else [activation()])]


def depthwise(
    channels: int,
    stride: int = 1,
    *,
    kernel: int = 3,
    norm: MakeNorm = nn.BatchNorm2d,
    activation: MakeActivation | None = None,
) -> list[nn.Module]:
    """Return the layers of a depthwise convolution: :func:`conv_norm_act` with a group for each channel.

    They map (B, channels, H, W) to (B, channels, ceil(H/stride), ceil(W/stride)). Raises :class:`InputError` for an
    even ``kernel``.
    """
    return conv_norm_act(channels, channels, kernel, stride, groups=channels, norm=norm, activation=activation)


def add_shortcut_if_same_shape(
    layers: list[nn.Module], c_in: int, c_out: int, stride: int, share: Fraction = Fraction(1)
) -> nn.Module:
    """Return the layers as one module; with a shortcut at stride 1 if ``c_in`` equals ``c_out``."""
    branch = nn.Sequential(*layers)
    return Residual(branch, c_out, share) if stride == 1 and c_in == c_out else branch


def inverted_residual_block(
    c_in: int,
    c_out: int,
    stride: int = 1,
    kernel: int = 3,
    *,
    hidden: int,
    norm: MakeNorm = nn.BatchNorm2d,
    activation: MakeActivation = nn.ReLU6,
    attention: MakeAttention | None = None,
) -> nn.Module:
    """Return c_in -> hidden pointwise, activation; depthwise, activation; hidden -> c_out pointwise, linear; shortcut.

    The depthwise convolution has the stride. The first pointwise convolution is omitted if ``hidden`` equals ``c_in``
    (expansion 1), the shortcut unless stride is 1 and ``c_in`` equals ``c_out``. ``attention(hidden)`` follows the
    depthwise convolution's activation. Maps (B, c_in, H, W) to (B, c_out, ceil(H/stride), ceil(W/stride)). Raises
    :class:`InputError` for an even ``kernel``.
    """
    layers = conv_norm_act(c_in, hidden, norm=norm, activation=activation) if hidden != c_in else []
    layers += depthwise(hidden, stride, kernel=kernel, norm=norm, activation=activation)
    layers += [] if attention is None else [attention(hidden)]
    layers += conv_norm_act(hidden, c_out, norm=norm)
    return add_shortcut_if_same_shape(layers, c_in, c_out, stride)


def sandglass_block(
    c_in: int,
    c_out: int,
    stride: int = 1,
    kernel: int = 3,
    *,
    hidden: int,
    norm: MakeNorm = nn.BatchNorm2d,
    activation: MakeActivation = nn.ReLU6,
    first_depthwise: bool = True,
    last_depthwise: bool = True,
    shortcut: bool = True,
    share: Fraction = Fraction(1),
    attention: MakeAttention | None = None,
) -> nn.Module:
    """Return depthwise, activation; c_in -> hidden, linear; hidden -> c_out, activation; depthwise, linear; shortcut.

    The last depthwise convolution has the stride; either of them can be left out. ``shortcut`` adds the first
    ``share`` of the channels of the input (eq. 4) if stride is 1 and ``c_in`` equals ``c_out``. ``attention(c_out)``
    is the last layer before that sum. Maps (B, c_in, H, W) to (B, c_out, ceil(H/stride), ceil(W/stride)). Raises
    :class:`InputError` for an even ``kernel``, and for a stride without ``last_depthwise``.
    """
    if stride > 1 and not last_depthwise:
        raise InputError(f"stride={stride}: needs last_depthwise=True, the convolution that has the stride")
    layers = depthwise(c_in, kernel=kernel, norm=norm, activation=activation) if first_depthwise else []
    layers += conv_norm_act(c_in, hidden, norm=norm)
    layers += conv_norm_act(hidden, c_out, norm=norm, activation=activation)
    layers += depthwise(c_out, stride, kernel=kernel, norm=norm) if last_depthwise else []
    layers += [] if attention is None else [attention(c_out)]
    return add_shortcut_if_same_shape(layers, c_in, c_out, stride, share) if shortcut else nn.Sequential(*layers)
