"""What a mixed edge does around its operators. DARTS' edge, the default, is nothing but the sum of its operators."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from nas.graph.space import Space


class SourceView(NamedTuple):
    """A node as the edges that leave it see it."""

    x: Tensor  # (B, C_operators, H, W), the operators' input
    rest: Tensor | None = None  # what passes them by, at the target's resolution


class EdgeRule:
    """The rule of DARTS: a node is the sum over its edges of the operators' outputs, each times its strength.

    A search method with another edge overrides these functions, and every execution follows:

        node = finish( sum over its edges e of  b_e * sum over operators o of  p(e, o) * o(x_e),  [rest_e],  [b_e],  v )

    with ``x_e, rest_e = view(source)``; if :meth:`build` gives the edge a module of its own, it maps the rest. The
    weights b of the edges are 1 unless the rule is ``weighted``: then each kind of cell has a vector of E parameters,
    moved with the alphas, from which :meth:`edge_weights` computes them. v is ``schedule(epoch, epochs)``, epochs from
    0, if the rule has a schedule.
    """

    weighted = False
    schedule: Callable[[int, int], float] | None = None

    def build(self, channels: int, stride: int) -> nn.Module | None:
        """Return a module of an edge's own for nodes of ``channels``, from their rests; None: none."""
        return None

    def operator_channels(self, channels: int) -> int:
        """Return the channels of the operators in a cell whose nodes have ``channels``."""
        return channels

    def check(self, channels: int) -> None:
        """Raise :class:`InputError` if cells cannot have nodes of ``channels``."""

    def edge_weights(self, beta: Tensor, space: Space) -> Tensor:
        """Return the weights b (E,) of the edges for the parameters ``beta`` (E,) of one kind of cell.

        A weighted rule has to override it: this one raises :class:`NotImplementedError`.
        """
        raise NotImplementedError("a weighted edge rule defines edge_weights")

    def view(self, x: Tensor, stride: int) -> SourceView:
        """Return what the edges that leave a node see of it, (B, C, H, W); ``stride`` is theirs."""
        return SourceView(x)

    def finish(
        self, mixed: Tensor, rests: Sequence[Tensor | None], weights: Tensor | None, value: Tensor | None
    ) -> Tensor:
        """Return a node (B, C, H, W): from the weighted sum of its operators, and the rests and weights of its edges.

        ``value`` () is that of the schedule, None without one.
        """
        return mixed


DARTS_EDGE = EdgeRule()
