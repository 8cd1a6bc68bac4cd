"""Drawings of cells with Graphviz, or with matplotlib if the ``dot`` program is missing."""

import io
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.graph.cell import CellGraph, cell_title
from nas.graph.cell_graph import genotype_cell_graph
from nas.graph.genotype import Genotype
from nas.graph.zoo import load_genotype
from nas.plots.accessible_svg import add_title, describe_panels
from nas.plots.drawing_style import PLAIN_STYLE, DrawingStyle
from nas.storage.atomic_files import write_file

DRAWING_FORMATS = ("svg", "png", "pdf")
_INSTALL_HINT = "install Graphviz for the better drawing (apt install graphviz, brew install graphviz)"


class Drawing(NamedTuple):
    """The written files and a one-line note for the user (may be empty)."""

    paths: tuple[Path, ...]
    note: str


def draw(
    genotype: Genotype | str | Path, path: str | Path, *, layout: str = "lr", transparent: bool = False
) -> Drawing:
    """Draw all cells of a genotype in one figure, ``path`` (.svg, .png or .pdf), with Graphviz if it is installed.

    ``genotype`` is a :class:`Genotype` or what :func:`nas.load_genotype` reads: a name, a path, tuple notation. Cells
    are drawn from left to right (``layout="lr"``) or from top to bottom (``"tb"``), on white unless ``transparent``.
    The result holds the written ``paths`` and a ``note`` for the user if Graphviz did not draw. Raises
    :class:`InputError` for another ending or layout and a path that cannot be written.
    """
    return draw_cells(load_genotype(genotype), path, DrawingStyle(layout, transparent))


def draw_cell(genotype: Genotype, cell: str, path: str | Path, style: DrawingStyle = PLAIN_STYLE) -> Drawing:
    """Draw the cell of one kind, such as ``"normal"``, to ``path`` (.svg, .png or .pdf); raise :class:`InputError`."""
    return _draw(genotype, [cell], Path(path), style)


def draw_cells(genotype: Genotype, path: str | Path, style: DrawingStyle = PLAIN_STYLE) -> Drawing:
    """Draw all cells in one figure, ``path`` (.svg, .png or .pdf); raise :class:`InputError`."""
    return _draw(genotype, genotype.kinds, Path(path), style)


def draw_genotype(
    genotype: Genotype,
    folder: str | Path,
    formats: Sequence[str] = ("svg", "png"),
    style: DrawingStyle = PLAIN_STYLE,
) -> Drawing:
    """Draw each cell to its own files: ``folder/normal.svg``, ``folder/normal.png``, ``folder/reduce.svg``, …"""
    drawings = [
        draw_cell(genotype, cell, Path(folder) / f"{cell}.{suffix}", style)
        for cell in genotype.kinds
        for suffix in formats
    ]
    notes = (note for _, note in drawings if note)
    return Drawing(tuple(path for paths, _ in drawings for path in paths), next(notes, ""))


def cells_svg(genotype: Genotype) -> str:
    """Return the drawing of all cells, stacked, as the text of an SVG file."""
    return _render(genotype, genotype.kinds, "svg")[0].decode()


def cell_png(genotype: Genotype, cell: str) -> bytes:
    """Return the drawing of one cell as the bytes of a PNG file."""
    return _render(genotype, [cell], "png")[0]


def cell_pixels(genotype: Genotype, cell: str) -> NDArray[np.uint8]:
    """Return the drawing of one cell as an image, uint8 (H, W, 3)."""
    with Image.open(io.BytesIO(cell_png(genotype, cell))) as image:
        return np.asarray(image.convert("RGB"))


def _draw(genotype: Genotype, cells: Sequence[str], path: Path, style: DrawingStyle) -> Drawing:
    file_format = path.suffix.removeprefix(".").lower()
    if file_format not in DRAWING_FORMATS:
        allowed = ", ".join(f".{name}" for name in DRAWING_FORMATS)
        raise InputError(f"{format_value(path)}: not a drawing format; allowed: {allowed}")
    image, note = _render(genotype, cells, file_format, style)
    write_file(path, image)
    return Drawing((path,), note)


def _render(
    genotype: Genotype, cells: Sequence[str], file_format: str, style: DrawingStyle = PLAIN_STYLE
) -> tuple[bytes, str]:
    """Return the drawing and a note if Graphviz did not make it."""
    panels = [
        (f"{genotype.name}: {cell_title(cell)}".removeprefix(": "), _drawn_graph(genotype, cell, style))
        for cell in cells
    ]
    image, note = _render_panels(panels, file_format, style)
    if file_format == "svg":
        title = ", ".join(title if k == 0 else cell_title(cells[k]) for k, (title, _) in enumerate(panels))
        image = add_title(image, title, describe_panels(panels))
    return image, note


def _render_panels(panels: Sequence[tuple[str, CellGraph]], file_format: str, style: DrawingStyle) -> tuple[bytes, str]:
    note = f"drawn without Graphviz: {_INSTALL_HINT}"
    if dot := shutil.which("dot"):
        try:
            from nas.plots.cell_graphviz import render_graphviz

            return render_graphviz(dot, panels, file_format, style), ""
        except ImportError:
            note = "drawn without Graphviz: its Python package is missing (pip install graphviz)"
        except (OSError, subprocess.SubprocessError) as error:
            note = f"drawn without Graphviz, whose dot program failed ({format_value(str(error))}): {_INSTALL_HINT}"
    from nas.plots.cell_matplotlib import render_matplotlib  # takes a second to import

    if style.layout != "lr":
        note = f"{note}; without it, cells are drawn from left to right"
    return render_matplotlib(panels, file_format, style.transparent), note


def _drawn_graph(genotype: Genotype, cell: str, style: DrawingStyle) -> CellGraph:
    """Return the graph of a cell without the edges on which nothing is computed, and with the widths of the others."""
    graph = genotype_cell_graph(genotype, cell)
    graph.remove_edges_from([edge for edge in graph.edges(keys=True) if graph.edges[edge]["operator"] == "none"])
    for source, target, data in graph.edges(data=True):
        data["width"] = style.widths.get((cell, target, source, data["operator"]), 1.0)
    return graph
