"""The check that a model's gradients in bfloat16 are right on a CPU, before it is trained."""

import torch
from torch import nn

from nas.core.errors import InputError

_LARGEST_MAP = 28  # pixels; the smallest side at which wrong gradients were measured is 30


def require_bf16_gradients(
    model: nn.Module, device: torch.device, precision: str, image_shape: tuple[int, ...], stem: str
) -> None:
    """Raise :class:`InputError` if training the model in ``precision`` on ``device`` would have wrong gradients.

    torch (2.14.1, oneDNN) reads past its buffers in the weight gradient of many convolutions with dilation, depthwise
    and others, in bfloat16 and channels last, on maps of 30 pixels or more: the result is arbitrary, without an error.
    Any memory format can become channels last within a network, so all models with dilation are refused.
    ``image_shape`` is (C, H, W); ``stem`` imagenet divides it by eight before the first cell.
    """
    side = max(image_shape[-2:]) // (8 if stem == "imagenet" else 1)
    if device.type != "cpu" or precision != "bf16" or side <= _LARGEST_MAP:
        return
    if any(isinstance(layer, nn.Conv2d) and _is_dilated(layer) for layer in model.modules()):
        problem = f"on a CPU, torch computes wrong gradients of dilated convolutions on {side} pixels"
        raise InputError(f"precision=bf16: {problem}; allowed: precision=fp32")


def _is_dilated(layer: nn.Conv2d) -> bool:
    return max(layer.kernel_size) > 1 and max(layer.dilation) > 1
