"""Order, layout, width, background and description of drawn cells."""

import shutil
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from PIL import Image

import nas
from nas.core.errors import InputError
from nas.graph.genotype import Genotype
from nas.graph.space import Space
from nas.plots.cell import draw_cell, draw_cells
from nas.plots.colors import TEXT_COLOR, operator_color
from nas.plots.drawing_style import DrawingStyle
from nas.plots.edge_width import NARROWEST, WIDEST, edge_widths

SVG = "{http://www.w3.org/2000/svg}"
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="the dot program of Graphviz is not installed")


def places(path):
    """Return where the letters of a drawing are: text to (x, y)."""
    root = ElementTree.fromstring(path.read_bytes())
    texts = root.iter(f"{SVG}text")
    return {text.text.strip(): (float(text.get("x")), float(text.get("y"))) for text in texts if text.text}


@needs_dot
@pytest.mark.parametrize(("name", "columns"), [("darts_v2", ["01", "234"]), ("darts_v1", ["01"]), ("pdarts", ["01"])])
def test_nodes_beside_each_other_are_in_order(name, columns, tmp_path):
    for layout, axis in (("lr", 1), ("tb", 0)):
        draw_cell(nas.load_genotype(name), "normal", tmp_path / "cell.svg", DrawingStyle(layout))
        found = places(tmp_path / "cell.svg")
        inputs = {label.partition(":")[0]: place for label, place in found.items()}
        for column in columns:
            assert all(inputs[one][axis] < inputs[other][axis] for one, other in pairwise(column))


@pytest.mark.parametrize("program", ["dot", None])
def test_a_drawing_has_one_title_and_a_description(program, tmp_path, monkeypatch):
    if program is None or shutil.which("dot") is None:
        monkeypatch.setattr(shutil, "which", lambda _: None)
    nas.draw("darts_v2", tmp_path / "cells.svg")
    root = ElementTree.fromstring((tmp_path / "cells.svg").read_bytes())
    assert root.get("role") == "img"
    assert [title.text for title in root.iter(f"{SVG}title")] == ["darts_v2: normal cell, reduce cell"]
    (description,) = root.iter(f"{SVG}desc")
    assert [part.tag for part in root[:2]] == [f"{SVG}title", f"{SVG}desc"]
    assert "node 5 adds skip_connect of node 0 and dil_conv_3x3 of node 2; the output joins nodes 2, 3, 4, 5" in (
        description.text
    )


@needs_dot
def test_background(tmp_path):
    for transparent, alpha in ((False, 255), (True, 0)):
        nas.draw("darts_v2", tmp_path / "cells.png", transparent=transparent)
        with Image.open(tmp_path / "cells.png") as image:
            assert image.convert("RGBA").getpixel((1, 1))[3] == alpha
    with pytest.raises(InputError, match="layout=rl: must be lr"):
        nas.draw("darts_v2", tmp_path / "cells.png", layout="rl")


def test_width_is_the_strength_over_that_of_equally_strong_operators(tmp_path):
    space = Space("s", ("none", "a", "b", "c"), inputs=2, intermediate_nodes=1, edges_per_node=2)
    cell = Genotype([("a", 0), ("b", 1)], [2], [("c", 0), ("other", 1)], [2])
    strengths = {"normal": [(0.0, 0.5, 0.2, 0.3), (0.0, 0.0, 0.05, 0.0)], "reduce": [(0.0, 0.0, 0.0, 1.0)] * 2}
    widths = edge_widths(cell, strengths, space)
    assert widths == {
        ("normal", 2, 0, "a"): pytest.approx(2.0),
        ("normal", 2, 1, "b"): NARROWEST,
        ("reduce", 2, 0, "c"): WIDEST,
    }
    if shutil.which("dot"):
        draw_cells(cell, tmp_path / "cells.svg", DrawingStyle(widths=widths))
        assert 'stroke-width="2.8"' in (tmp_path / "cells.svg").read_text()  # twice the usual 1.4


def test_an_undeclared_operator_has_a_color_of_its_own():
    colors = {operator_color(f"my_operator_{k}") for k in range(40)}
    assert TEXT_COLOR not in colors
    assert len(colors) > 3
    assert operator_color("my_operator_1") == operator_color("my_operator_1")
