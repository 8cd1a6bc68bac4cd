"""Pooling, 3x3. In the search a BatchNorm follows each pool, in retraining none does."""

from torch import nn

from nas.ops.registry import register_operator


@register_operator("max_pool_3x3", batchnorm_in_search=True)
def max_pool_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    """Maximum over 3x3."""
    return nn.MaxPool2d(3, stride=stride, padding=1)


@register_operator("avg_pool_3x3", batchnorm_in_search=True)
def avg_pool_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    """Mean over 3x3, over the pixels that exist: the padding is not counted."""
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
