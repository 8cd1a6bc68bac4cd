"""Published cells in the notations of other programs: read, drawn, and written back."""

import json

import pytest

import nas
from nas.core.errors import InputError
from nas.graph.notations import format_genotype

CELLS = ("darts_v1", "darts_v2", "pdarts")
NNI = {
    "max_pool_3x3": "maxpool",
    "avg_pool_3x3": "avgpool",
    "skip_connect": "skipconnect",
    "sep_conv_3x3": "sepconv3x3",
    "sep_conv_5x5": "sepconv5x5",
    "dil_conv_3x3": "dilconv3x3",
    "dil_conv_5x5": "dilconv5x5",
}


def by_node(genotype, kind):
    edges = list(genotype.edges(kind))
    return [edges[start : start + 2] for start in range(0, 8, 2)]


def nested(genotype):
    parts = (f"{kind}={by_node(genotype, kind)}, {kind}_concat=range(2, 6)" for kind in ("normal", "reduce"))
    return f"Genotype({', '.join(parts)})"


def with_strengths(genotype):
    edges = {kind: [(name, source, 0.125) for name, source in genotype.edges(kind)] for kind in ("normal", "reduce")}
    concat = "list(range(2, 6)), "
    return f"Genotype(normal={edges['normal']}, normal_concat={concat}reduce={edges['reduce']}, reduce_concat={concat})"


def with_numpy(genotype):
    parts = []
    for kind in ("normal", "reduce"):
        edges = ", ".join(f"('{name}', np.int64({source}))" for name, source in genotype.edges(kind))
        parts.append(f"{kind}=[{edges}], {kind}_concat=range(2, 6, 1)")
    return f"CELL = Genotype({', '.join(parts)})"


def log(genotype):
    other = nas.load_genotype("amoebanet") if genotype.name == "nasnet" else nas.load_genotype("drnas_cifar10")
    lines = (
        f"06/01 03:15:2{i} PM genotype = {cell!r}\n06/01 03:19:44 PM train_acc 88.1"
        for i, cell in enumerate((other, genotype))
    )
    return "06/01 03:15:20 PM epoch 49 lr 1.0e-03\n" + "\n".join(lines) + "\n06/01 genotype = Genotype(normal=[('sk"


def fair(genotype):
    parts = []
    for kind in ("normal", "reduce"):
        edges = [(name, node, src) for node, own in enumerate(by_node(genotype, kind), start=2) for name, src in own]
        parts.append(f"{kind}={edges}, {kind}_concat=range(2, 6)")
    return f"Genotype({', '.join(parts)})"


def nni_first(genotype, numbers=False):
    names = list(NNI)
    data = {}
    for kind in ("normal", "reduce"):
        for node, own in enumerate(by_node(genotype, kind), start=2):
            chosen = {source: name for name, source in own}
            for source in range(node):
                name = chosen.get(source)
                value = [] if name is None else names.index(name) if numbers else NNI[name]
                data[f"{kind}_n{node}_p{source}"] = value
            data[f"{kind}_n{node}_switch"] = [f"{kind}_n{node}_p{source}" for _, source in own]
    return json.dumps(data, indent=2)


def nni_present(genotype):
    data = {"width": 36, "num_cells": 20}
    for kind in ("normal", "reduce"):
        for node, own in enumerate(by_node(genotype, kind), start=2):
            for index, (name, source) in enumerate(own):
                data |= {f"{kind}/op_{node}_{index}": name, f"{kind}/input_{node}_{index}": [source]}
    return json.dumps(data)


def mmrazor(genotype):
    lines = []
    for kind in ("normal", "reduce"):
        for node, own in enumerate(by_node(genotype, kind), start=2):
            lines += [f"{kind}_n{node}:", "  chosen:", *(f"  - {kind}_n{node}_p{source}" for _, source in own)]
            chosen = {source: name for name, source in own}
            for source in range(node):  # also those that the node does not keep
                lines += [f"{kind}_n{node}_p{source}:", "  chosen:", f"  - {chosen.get(source, 'max_pool_3x3')}"]
    return "\n".join(lines) + "\n"


def naslib(genotype):
    names = list(NNI)
    cells = (tuple((source, names.index(name)) for name, source in genotype.edges(k)) for k in ("normal", "reduce"))
    return repr(tuple(cells))


def in_any_order(genotype):
    return {kind: [frozenset(own) for own in by_node(genotype, kind)] for kind in ("normal", "reduce")}


WRITTEN = {
    "nested.txt": nested,
    "strengths.txt": with_strengths,
    "numpy.py": with_numpy,
    "search.log": log,
    "fair.txt": fair,
    "first.json": nni_first,
    "numbers.json": lambda genotype: nni_first(genotype, numbers=True),
    "present.json": nni_present,
    "mmrazor.yaml": mmrazor,
    "naslib.txt": naslib,
}


@pytest.mark.parametrize("file", WRITTEN)
@pytest.mark.parametrize("name", CELLS)
def test_files_of_other_programs(name, file, tmp_path):
    wanted = nas.load_genotype(name)
    (tmp_path / file).write_text(WRITTEN[file](wanted))
    found = nas.load_genotype(tmp_path / file)
    assert in_any_order(found) == in_any_order(wanted)
    assert (found.normal_concat, found.reduce_concat, found.edges_per_node) == ((2, 3, 4, 5), (2, 3, 4, 5), 2)
    assert (
        nas.cost(nas.Network(found, 36, 20), (3, 32, 32)).params == nas.cost(nas.create_model(name), (3, 32, 32)).params
    )
    for notation in ("darts", "nni", "naslib"):
        ending = ".json" if notation == "nni" else ".txt"
        (tmp_path / f"again{ending}").write_text(format_genotype(found, notation))
        assert nas.load_genotype(tmp_path / f"again{ending}") == found
    assert name != "pdarts" or nas.draw(found, tmp_path / "cell.svg").paths[0].stat().st_size > 1000


def test_mmrazors_cell_of_the_paper_is_darts_v2(tmp_path):
    """The genotype of DARTS_V2 as mmrazor's configuration lists it: its nodes keep these edges."""
    kept = {
        "normal": [(1, 0), (0, 1), (0, 1), (2, 0)],
        "reduce": [(0, 1), (1, 2), (2, 0), (1, 2)],
    }
    found = {
        kind: [frozenset(source for _, source in own) for own in by_node(nas.load_genotype("darts_v2"), kind)]
        for kind in kept
    }
    assert found == {kind: [frozenset(own) for own in nodes] for kind, nodes in kept.items()}


@pytest.mark.parametrize(
    ("numbers", "string"),
    [
        ((2, 1, 0, 3, 2, 4), "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"),
        (
            (2, 2, 2, 2, 2, 2),
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        ),
        ([4, 3, 1, 0, 2, 0], "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|nor_conv_3x3~1|skip_connect~2|"),
    ],
)
def test_numbers_of_naslib_for_nas_bench_201(numbers, string):
    genotype = nas.load_genotype(str(numbers))
    assert genotype == nas.load_genotype(string)
    assert format_genotype(genotype, "nb201") == string
    assert format_genotype(genotype, "naslib") == str(tuple(numbers))


def test_one_of_several(tmp_path):
    one, other = nas.load_genotype("darts_v1"), nas.load_genotype("darts_v2")
    file = tmp_path / "genotypes.py"
    file.write_text(
        "from collections import namedtuple\nGenotype = namedtuple('Genotype', 'normal normal_concat reduce')\n"
        f"PRIMITIVES = ['none']\nFIRST = {one!r}\nSECOND = {other!r}\nDARTS = SECOND\nraise SystemExit('executed')\n"
    )
    assert nas.load_genotype(f"{file}:FIRST") == one
    assert nas.load_genotype(f"{file}:DARTS") == other
    with pytest.raises(InputError, match=r"has several genotypes: FIRST, SECOND, DARTS; add the name of one"):
        nas.load_genotype(file)
    with pytest.raises(InputError, match=r"has no genotype 'THIRD': known are FIRST, SECOND, DARTS"):
        nas.load_genotype(f"{file}:THIRD")


def test_nodes_with_fewer_edges(capsys):
    """FairDARTS' cells: a node with one edge, and one without, which is left out with what follows from it."""
    text = (
        "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_3x3', 2, 1), ('dil_conv_3x3', 4, 2), "
        "('skip_connect', 4, 3)], "
        "normal_concat=range(2, 5), reduce=[('max_pool_3x3', 2, 0), ('none', 3, 1), ('max_pool_3x3', 4, 1)], "
        "reduce_concat=range(2, 5))"
    )
    genotype = nas.load_genotype(text)
    assert [edges for _, edges in genotype.nodes("normal")] == [
        (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
        (),
        (("dil_conv_3x3", 2),),
    ]
    assert (genotype.normal_concat, genotype.reduce_concat) == ((2, 4), (2, 4))
    err = capsys.readouterr().err
    assert "1 node of the normal cell without inputs (3): left out of the output" in err
    assert nas.Network(genotype, 4, 3).eval() is not None
    assert nas.load_genotype(format_genotype(genotype, "darts")) == genotype
    for notation, part in {
        "nni": "nodes have two edges",
        "naslib": "two edges each",
        "nb201": "no architecture",
    }.items():
        with pytest.raises(InputError, match=part):
            format_genotype(genotype, notation)


@pytest.mark.parametrize(
    ("file", "text", "part"),
    [
        ("a.json", "[]", "not a cell of NNI"),
        ("a.json", '{"a": 1}', "not a cell of NNI"),
        ("a.json", '{"normal_n2_p0": "sepconv3x3", "normal_n2_switch": ["normal_n2_p9"]}', "has no operator"),
        ("a.json", '{"normal/op_2_0": "conv_1x1"}', "must be one source"),
        ("a.json", "{", "a.json"),
        ("a.yaml", "normal_n2: {chosen: normal_n2_p0}\n", "with a list 'chosen'"),
        ("a.txt", "(1, 2, 3)", "expected six numbers of operators"),
        ("a.txt", "(9, 1, 0, 3, 2, 4)", "must lie in 0..4"),
        ("a.txt", "(((0, 9),), ((0, 1),))", "the operator in 0..6"),
        ("a.txt", "Genotype(normal=[('a', 99, 0)], reduce=[('a', 2, 0)])", "nodes must lie in 2..63"),
        ("a.txt", "Genotype(normal=[('a', 0, 'b')], reduce=[])", "expected (operator, source)"),
        ("a.txt", "Genotype(normal=np.load('x'), reduce=[])", "only literals"),
        ("a.log", "06/01 nothing here", "cannot be parsed"),
    ],
)
def test_what_is_refused(file, text, part, tmp_path):
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError) as caught:
        nas.load_genotype(tmp_path / file)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
