"""DARTS- (Chu et al., ICLR 2021, arXiv 2009.01027): an auxiliary skip connection beside the operators of every edge.

    edge_e(x) = beta * aux_e(x) + sum over o of p(e, o) * o(x),     beta = 1 - epoch / epochs

aux is the identity; at stride 2, a factorized reduction with weights of the edge's own. It takes over what a skip
connection does for the training of a supernet, so that skip_connect is chosen for its own sake alone. It counts neither
in the derivation nor in the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from nas.models.edge_rule import EdgeRule, SourceView
from nas.ops.skip import FactorizedReduce
from nas.search.method import Method
from nas.search.methods.registry import NoSettings, register_method


@dataclass(frozen=True)
class AuxiliarySkip(EdgeRule):
    """The edge of DARTS-."""

    @staticmethod
    def schedule(epoch: int, epochs: int) -> float:
        """Return beta."""
        return 1 - epoch / epochs

    def build(self, channels: int, stride: int) -> nn.Module | None:
        """Return the reduction of an edge of stride 2."""
        return FactorizedReduce(channels, channels, affine=False) if stride == 2 else None

    def view(self, x: Tensor, stride: int) -> SourceView:
        """Return the node both for the operators and for the auxiliary skips."""
        return SourceView(x, x)

    def finish(
        self, mixed: Tensor, rests: Sequence[Tensor | None], weights: Tensor | None, value: Tensor | None
    ) -> Tensor:
        """Return the node with the auxiliary skips of its edges."""
        skips = [rest for rest in rests if rest is not None]
        assert value is not None
        return mixed + value.to(mixed) * sum(skips[1:], start=skips[0])


@register_method(
    "darts_minus",
    paper="DARTS-, arXiv 2009.01027",
    error="2.59 ± 0.08",
    when="against skip connections without a setting to choose",
)
def darts_minus(settings: NoSettings) -> Method:
    """Return DARTS with auxiliary skips that fade."""
    return Method(edge_rule=AuxiliarySkip(), orders=(1,))
