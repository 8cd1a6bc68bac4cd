"""Spaces and genotypes in a notebook, and genotypes as text that can be read again."""

import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import nas
from nas.graph import notebook
from nas.graph.genotype import Genotype
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import list_cells, load_genotype

OTHER_KIND = Genotype(
    cells={"cell": ([[("none", 0)], [("conv_3x3", 0), ("skip_connect", 1)]], [2])},
    inputs=1,
    edges_per_node="all",
    skeleton="nb201",
)
UNEVEN = "Genotype(cell=[[('a', 0), ('a', 0)], [('b', 1)]], cell_concat=[2], inputs=1, edges_per_node='any', "
UNEVEN += "skeleton='chain')"


@pytest.mark.parametrize(
    "genotype",
    [*map(load_genotype, list_cells()), OTHER_KIND, load_genotype(UNEVEN)],
    ids=lambda g: g.name or g.skeleton,
)
def test_a_genotype_prints_as_what_load_genotype_reads(genotype):
    assert load_genotype(repr(genotype)) == genotype
    assert repr(genotype) == format_tuple_notation(genotype)
    assert repr(genotype).isprintable()
    if genotype.kinds == ("normal", "reduce"):
        assert eval(repr(genotype), {"Genotype": Genotype}) == genotype


@pytest.mark.parametrize("with_dot", [True, False])
@pytest.mark.parametrize("genotype", [load_genotype("darts_v2"), OTHER_KIND], ids=["darts_v2", "another kind"])
def test_a_genotype_is_drawn(genotype, with_dot, monkeypatch):
    if not with_dot:
        monkeypatch.setattr(shutil, "which", lambda _: None)
    elif shutil.which("dot") is None:
        pytest.skip("the dot program of Graphviz is not installed")
    root = ElementTree.fromstring(genotype._repr_svg_())
    texts = {"".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {operator for operator in genotype.operators() if operator != "none"} <= texts
    assert all(any(kind in text for text in texts) for kind in genotype.kinds)


def test_without_a_drawing_the_text_is_shown(monkeypatch):
    monkeypatch.setattr(notebook, "_draw_svg", None)
    assert load_genotype("darts_v2")._repr_svg_() is None


def test_a_space_is_a_table_of_its_operators():
    html = nas.load_space("darts+sandglass")._repr_html_()
    table = ElementTree.fromstring(html)
    text = "".join(table.itertext())
    assert all(operator in text for operator in nas.load_space("darts+sandglass").operators)
    assert [element.text for element in table.iter("b")] == ["sandglass_3x3_t6"]  # the super-operator
    assert "14, from 2 inputs and 4 nodes" in text


def test_names_are_escaped():
    html = nas.Space("<script>&", ("skip_connect",))._repr_html_()
    assert ElementTree.fromstring(html).find("caption").text == "space <script>&"


def test_importing_nas_and_drawing_do_not_import_torch(tmp_path):
    code = (
        "import sys, nas; before = set(sys.modules); nas.load_genotype('darts_v2')._repr_svg_()\n"
        "nas.draw('darts_v2', sys.argv[1]); nas.list_cells(), nas.list_spaces(), nas.InputError\n"
        "print('numpy' in before, 'networkx' in before, 'torch' in sys.modules)"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "cell.svg")]
    process = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout.split() == ["False", "False", "False"]
    assert (tmp_path / "cell.svg").exists()
