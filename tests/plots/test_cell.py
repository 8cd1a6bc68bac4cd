import io
import shutil
import stat
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from nas.graph import operator_style
from nas.graph.genotype import Genotype
from nas.graph.operator_style import OperatorStyle
from nas.graph.zoo import list_cells, load_genotype
from nas.plots.cell import DRAWING_FORMATS, cell_pixels, cell_png, draw_cell, draw_cells, draw_genotype

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=["with dot", "without dot"])
def dot(request, monkeypatch):
    """Run the test with and without Graphviz; return whether Graphviz is used."""
    if request.param == "without dot":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    elif shutil.which("dot") is None:
        pytest.skip("the dot program of Graphviz is not installed")
    return request.param == "with dot"


def texts(path):
    root = ElementTree.fromstring(path.read_bytes())
    return ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]


def test_both_cells_in_one_drawing(dot, tmp_path):
    genotype = load_genotype("darts_v2")
    paths, note = draw_cells(genotype, tmp_path / "new" / "cells.svg")
    assert paths == (tmp_path / "new" / "cells.svg",)
    assert bool(note) is not dot
    written = texts(paths[0])
    assert {"darts_v2: normal cell", "darts_v2: reduce cell"} <= set(written)
    for operator in genotype.operators():
        edges = [*genotype.normal, *genotype.reduce]
        assert written.count(operator) == sum(operator == name for name, _ in edges)


def test_every_format_can_be_written(dot, tmp_path):
    genotype = load_genotype("darts_v1")
    paths, note = draw_genotype(genotype, tmp_path, DRAWING_FORMATS)
    assert [path.name for path in paths] == [
        f"{cell}.{name}" for cell in ("normal", "reduce") for name in DRAWING_FORMATS
    ]
    assert bool(note) is not dot
    for path in paths:
        start = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}[path.suffix]
        assert path.read_bytes().startswith(start)


def test_drawings_are_reproducible(dot, tmp_path):
    genotype = load_genotype("nasnet")
    for ending in ("svg", "png"):
        first, second = tmp_path / f"1.{ending}", tmp_path / f"2.{ending}"
        draw_cells(genotype, first)
        draw_cells(genotype, second)
        assert first.read_bytes() == second.read_bytes()


def test_cell_pixels_and_png(dot):
    genotype = load_genotype("amoebanet")
    pixels = cell_pixels(genotype, "reduce")
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert min(pixels.shape[:2]) > 200
    assert pixels.min() < 100, "something is drawn"
    assert (pixels[:3] == 255).all(), "on white, with a margin"
    with Image.open(io.BytesIO(cell_png(genotype, "reduce"))) as image:
        assert image.format == "PNG"


def test_names_are_not_interpreted_as_markup(dot, tmp_path):
    name = '<b>&"$x_1$\\N {|}'
    edges = [("my_operator", 0), ("my_operator", 1)]
    draw_cell(Genotype(edges, [2], edges, [2], name=name), "normal", tmp_path / "cell.svg")
    assert f"{name}: normal cell" in [text.replace("\xa0", " ") for text in texts(tmp_path / "cell.svg")]


def test_operators_are_drawn_in_their_declared_color(dot, tmp_path, monkeypatch):
    monkeypatch.setattr(operator_style, "_styles", {"mine": OperatorStyle("#12ab34")})
    for name, found in (("mine", True), ("my_unknown", False)):
        edges = [(name, 0), (name, 1)]
        draw_cell(Genotype(edges, [2], edges, [2]), "normal", tmp_path / "cell.svg")
        assert ("#12ab34" in (tmp_path / "cell.svg").read_text()) is found


def test_an_unnamed_cell(dot, tmp_path):
    edges = [("a", 0), ("b", 1)]
    draw_cell(Genotype(edges, [2], edges, [2]), "reduce", tmp_path / "cell.svg")
    assert "reduce cell" in texts(tmp_path / "cell.svg")


def test_cells_of_other_sizes(dot, tmp_path):
    edges = [("a", 0), ("a", 0), ("b", 1), ("c", 2), ("a", 3), ("b", 3)]
    draw_cells(Genotype(edges, [3, 4], edges, [4], inputs=3, edges_per_node=3), tmp_path / "cells.png")
    chain = [("op", i) for i in range(62)]
    draw_cell(Genotype(chain, [62], chain, [62], inputs=1, edges_per_node=1), "normal", tmp_path / "chain.png")


@pytest.mark.parametrize("name", list_cells())
def test_labels_of_the_matplotlib_drawing_do_not_overlap(name):
    """Any two labels are at least half a level or one step apart."""
    from nas.graph.cell_graph import genotype_cell_graph
    from nas.plots.cell_matplotlib import _LEVEL, _STEP, _arcs

    for cell in ("normal", "reduce"):
        arcs = _arcs(genotype_cell_graph(load_genotype(name), cell))
        positions = [
            (_STEP * (source + target) / 2, height) for source, target, operator, _, height in arcs if operator
        ]
        for i, (x, y) in enumerate(positions):
            assert all(abs(x - u) > 0.99 * _STEP or abs(y - v) >= _LEVEL / 2 for u, v in positions[i + 1 :])


def test_a_failing_dot_program_falls_back_to_matplotlib(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    _, note = draw_cells(load_genotype("nasnet"), tmp_path / "cells.svg")
    assert "whose dot program failed" in note
    assert "apt install graphviz" in note
    assert note.isprintable()
    assert "nasnet: normal cell" in texts(tmp_path / "cells.svg")


def test_a_missing_graphviz_package_falls_back_to_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/dot")
    monkeypatch.setitem(sys.modules, "graphviz", None)  # importing it fails
    monkeypatch.delitem(sys.modules, "nas.plots.cell_graphviz", raising=False)
    _, note = draw_cells(load_genotype("nasnet"), tmp_path / "cells.svg")
    assert "pip install graphviz" in note
    assert "nasnet: normal cell" in texts(tmp_path / "cells.svg")


@pytest.mark.parametrize("name", ["cell", "cell.gif", "cell.svg.txt", "svg"])
def test_other_formats_are_refused(refused, tmp_path, name):
    refused("not a drawing format; allowed: .svg, .png, .pdf", draw_cells, load_genotype("nasnet"), tmp_path / name)


def test_an_unwritable_path_is_refused(refused, tmp_path):
    (tmp_path / "folder.svg").mkdir()
    refused("cannot be written", draw_cell, load_genotype("nasnet"), "normal", tmp_path / "folder.svg")


def test_unknown_cells_are_refused(refused, tmp_path):
    refused(
        "cell='both': unknown cell; allowed: normal, reduce",
        draw_cell,
        load_genotype("nasnet"),
        "both",
        tmp_path / "cell.svg",
    )
