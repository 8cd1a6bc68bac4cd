"""Round trips of random and of all shipped genotypes through both notations."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import genotype_from_yaml, genotype_to_yaml, save_genotype
from nas.graph.provenance import Provenance, Published
from nas.graph.tuple_notation import format_tuple_notation, parse_tuple_notation
from nas.graph.zoo import list_cells, load_genotype

OPERATORS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True).filter(lambda name: name != "none")
LINES = st.text(max_size=30).filter(str.isprintable)
NUMBERS = st.none() | st.integers(0, 2**63) | st.floats(-1e6, 1e6)
PUBLISHED = st.builds(Published, source=LINES, dataset=LINES, test_err=NUMBERS, params_M=NUMBERS, note=LINES)
ORIGINS = st.builds(
    Provenance,
    space=LINES,
    seed=st.none() | st.integers(0, 2**63),
    commit=LINES,
    published=st.lists(PUBLISHED, max_size=3),
)


@st.composite
def cells(draw, inputs, edges_per_node):
    """Return (edges, concat) of a valid cell: unused nodes are concatenated."""
    edges = []
    last = inputs + draw(st.integers(1, 5))
    for node in range(inputs, last):
        sources = draw(st.lists(st.integers(0, node - 1), min_size=1, max_size=node))
        edges += [(draw(OPERATORS), sources[i % len(sources)]) for i in range(min(edges_per_node, node))]
    used = {source for _, source in edges}
    return edges, [node for node in range(inputs, last) if node not in used or draw(st.booleans())]


@st.composite
def genotypes(draw):
    inputs, edges_per_node = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    normal, reduce = draw(cells(inputs, edges_per_node)), draw(cells(inputs, edges_per_node))
    return Genotype(*normal, *reduce, inputs, edges_per_node, draw(LINES), draw(ORIGINS))


@st.composite
def other_genotypes(draw):
    """A genotype of one to three kinds whose nodes keep all edges, or any number of them."""
    inputs, edges_per_node = draw(st.integers(1, 2)), draw(st.sampled_from(["all", "any"]))
    cells = {}
    for kind in draw(st.lists(st.sampled_from(["cell", "stem", "reduce"]), min_size=1, unique=True)):
        nodes, last = [], inputs + draw(st.integers(1, 3))
        for node in range(inputs, last):
            sources = list(range(node))
            if edges_per_node == "any":
                sources = draw(st.lists(st.sampled_from(sources), max_size=4))
            names = OPERATORS | st.just("none") if edges_per_node == "all" else OPERATORS
            nodes.append([(draw(names), source) for source in sources])
        cells[kind] = nodes, range(inputs, last)
    combine = draw(st.sampled_from(["sum", "mean"]))
    return Genotype(cells=cells, inputs=inputs, edges_per_node=edges_per_node, skeleton="other", combine=combine)


@settings(max_examples=100, deadline=None)
@given(genotypes() | other_genotypes())
def test_random_genotypes(genotype):
    read = genotype_from_yaml(genotype_to_yaml(genotype), "f")
    assert (read, read.name, read.origin) == (genotype, genotype.name, genotype.origin)
    assert parse_tuple_notation(format_tuple_notation(genotype)) == genotype


@pytest.mark.parametrize("name", list_cells())
def test_shipped_cells(name, tmp_path):
    genotype = load_genotype(name)
    save_genotype(genotype, tmp_path / "cell.yaml")
    read = load_genotype(tmp_path / "cell.yaml")
    assert (read, read.name, read.origin) == (genotype, name, genotype.origin)
    assert load_genotype(format_tuple_notation(genotype)) == genotype
