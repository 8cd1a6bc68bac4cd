"""DARTS (arXiv 1806.09055): the method that all others are compared with."""

from nas.search.method import Method
from nas.search.methods.registry import NoSettings, register_method


@register_method(
    "darts",
    paper="DARTS, arXiv 1806.09055",
    error="3.00",
    when="as the baseline, and for short searches, in which it has no time to collapse",
)
def darts(settings: NoSettings) -> Method:
    """Return the softmax of the alphas, Adam, and the strongest edges."""
    return Method("darts")
