"""Drawings of cells: through Graphviz, or plainly with matplotlib where its ``dot`` program is missing."""

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
from nas.graph.cell import CELL_KINDS
from nas.graph.cell_graph import genotype_cell_graph
from nas.graph.genotype import Genotype
from nas.plots.cell_graphviz import render_graphviz
from nas.storage.atomic_files import write_file

FORMATS = ("svg", "png", "pdf")
INSTALL = "install Graphviz for the better drawing (apt install graphviz, brew install graphviz)"


class Drawn(NamedTuple):
    """The files that were written, and what to tell the user about them: one line, or nothing."""

    paths: tuple[Path, ...]
    note: str


def draw_cell(genotype: Genotype, cell: str, path: str | Path) -> Drawn:
    """Draw the ``"normal"`` or ``"reduce"`` cell into ``path``: .svg, .png or .pdf; raises :class:`InputError`."""
    return _draw(genotype, [cell], Path(path))


def draw_cells(genotype: Genotype, path: str | Path) -> Drawn:
    """Draw both cells, one below the other, into ``path``: .svg, .png or .pdf; raises :class:`InputError`."""
    return _draw(genotype, CELL_KINDS, Path(path))


def draw_genotype(genotype: Genotype, folder: str | Path, formats: Sequence[str] = ("svg", "png")) -> Drawn:
    """Draw each cell into a file of its own: ``folder/normal.svg``, ``folder/normal.png``, ``folder/reduce.svg``, …"""
    drawn = [draw_cell(genotype, cell, Path(folder) / f"{cell}.{ending}") for cell in CELL_KINDS for ending in formats]
    return Drawn(tuple(path for paths, _ in drawn for path in paths), next((note for _, note in drawn if note), ""))


def cell_png(genotype: Genotype, cell: str) -> bytes:
    """The drawing of one cell as the bytes of a PNG file."""
    return _render(genotype, [cell], "png")[0]


def cell_pixels(genotype: Genotype, cell: str) -> NDArray[np.uint8]:
    """The drawing of one cell as an image: uint8 (H, W, 3)."""
    with Image.open(io.BytesIO(cell_png(genotype, cell))) as image:
        return np.asarray(image.convert("RGB"))


def _draw(genotype: Genotype, cells: Sequence[str], path: Path) -> Drawn:
    ending = path.suffix.removeprefix(".").lower()
    if ending not in FORMATS:
        raise InputError(f"{format_value(path)}: a drawing ends with {', '.join(f'.{name}' for name in FORMATS)}")
    picture, note = _render(genotype, cells, ending)
    write_file(path, picture)
    return Drawn((path,), note)


def _render(genotype: Genotype, cells: Sequence[str], ending: str) -> tuple[bytes, str]:
    """The picture and the note about how it was made."""
    pictures = [
        (f"{genotype.name}: {cell} cell".removeprefix(": "), genotype_cell_graph(genotype, cell)) for cell in cells
    ]
    note = f"drawn without Graphviz: {INSTALL}"
    if dot := shutil.which("dot"):
        try:
            return render_graphviz(dot, pictures, ending), ""
        except (OSError, subprocess.SubprocessError) as error:
            note = f"drawn without Graphviz, whose dot program failed ({format_value(str(error))}): {INSTALL}"
    from nas.plots.cell_matplotlib import render_matplotlib  # here: matplotlib takes a second to import

    return render_matplotlib(pictures, ending), note
