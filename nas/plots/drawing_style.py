"""How cells are drawn."""

from dataclasses import dataclass, field

from nas.core.validation import require
from nas.plots.edge_width import EdgeWidths

LAYOUTS = ("lr", "tb")


@dataclass(frozen=True)
class DrawingStyle:
    """``layout``: from left to right (lr) or from top to bottom (tb); ``transparent``: without a white background.

    ``widths`` are those of the edges; others have the usual width. Raises :class:`InputError` for another layout.
    """

    layout: str = "lr"
    transparent: bool = False
    widths: EdgeWidths = field(default_factory=dict)

    def __post_init__(self) -> None:
        require("layout", self.layout, self.layout in LAYOUTS, "must be lr (left to right) or tb (top to bottom)")


PLAIN_STYLE = DrawingStyle()
