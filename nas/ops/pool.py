"""3x3 pooling; followed by a BatchNorm in the search only."""

from torch import nn

from nas.ops.registry import register_operator


@register_operator("max_pool_3x3", batchnorm_in_search=True)
def max_pool_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return 3x3 max pooling."""
    return nn.MaxPool2d(3, stride=stride, padding=1)


@register_operator("avg_pool_3x3", batchnorm_in_search=True)
def avg_pool_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return 3x3 average pooling that does not count the padding."""
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
