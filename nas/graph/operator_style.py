"""Styles of operators: the color of their edges in drawings, and which of them are super-operators.

Super-operators are blocks of several convolutions that act as one operator of an edge (arXiv 2007.02269, §4.4).
Registering an operator (:mod:`nas.ops.registry`) declares its style. The operators of this package are declared in the
table below instead, so that a drawing does not wait for torch.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nas.core.errors import InputError
from nas.core.formatting import format_value

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class OperatorStyle:
    """The style of an operator; ``color`` is ``#rrggbb``, or None for that of text.

    Raises :class:`InputError` for another color.
    """

    color: str | None = None
    super_operator: bool = False

    def __post_init__(self) -> None:
        if self.color is not None and not (isinstance(self.color, str) and _COLOR.fullmatch(self.color)):
            raise InputError(f"color={format_value(self.color)}: must be #rrggbb, such as #c2410c, or None")


_PLAIN = OperatorStyle()
_SEPARABLE, _DILATED, _CONVOLUTION = OperatorStyle("#1d5fa8"), OperatorStyle("#6b46a3"), OperatorStyle("#0f7b8a")
_POOL, _SKIP = OperatorStyle("#2f7d4f"), OperatorStyle("#6b7785")
_SANDGLASS, _INVERTED_RESIDUAL = OperatorStyle("#c2410c", True), OperatorStyle("#b4235a", True)
_NOISE = OperatorStyle("#8f1d1d")
_VARIANT = OperatorStyle("#9a6b00", True)

_styles: dict[str, OperatorStyle] = {
    "skip_connect": _SKIP,
    "noise": _NOISE,
    "max_pool_3x3": _POOL,
    "avg_pool_3x3": _POOL,
    "sep_conv_3x3": _SEPARABLE,
    "sep_conv_5x5": _SEPARABLE,
    "sep_conv_7x7": _SEPARABLE,
    "dil_conv_3x3": _DILATED,
    "dil_conv_5x5": _DILATED,
    "conv_1x1": _CONVOLUTION,
    "conv_3x3": _CONVOLUTION,
    "conv_7x1_1x7": _CONVOLUTION,
    "nor_conv_1x1": _CONVOLUTION,
    "nor_conv_3x3": _CONVOLUTION,
    "variant_a_3x3_t6": _VARIANT,
    "variant_b_3x3_t6": _VARIANT,
    "variant_c_3x3_t6": _VARIANT,
}
_families: list[tuple[re.Pattern[str], OperatorStyle]] = [  # names with options, as the families of nas.ops
    (re.compile(r"sandglass_3x3_t\d+(_share\d+(of\d+)?)?(_dw2)?", re.ASCII), _SANDGLASS),
    (re.compile(r"ir_3x3_t\d+", re.ASCII), _INVERTED_RESIDUAL),
]


def declare_style(name: str, style: OperatorStyle) -> None:
    """Declare the style of the operator ``name``."""
    _styles[name] = style


def declare_family_style(pattern: str, style: OperatorStyle) -> None:
    """Declare the style of all operators whose whole name the regular expression ``pattern`` matches."""
    _families.append((re.compile(pattern, re.ASCII), style))


def operator_style(operator: str) -> OperatorStyle:
    """Return the style of an operator, by its name; an undeclared one is plain: no color, no super-operator."""
    if operator in _styles:
        return _styles[operator]
    return next((style for pattern, style in _families if pattern.fullmatch(operator)), _PLAIN)


def super_operators(operators: Iterable[str]) -> list[str]:
    """Return the super-operators among ``operators``."""
    return [operator for operator in operators if operator_style(operator).super_operator]
