import hashlib
from dataclasses import replace
from itertools import pairwise

import pytest

from nas.core.errors import InputError
from nas.core.paths import shipped_folder
from nas.graph.space import Space, space_fingerprint
from nas.graph.space_file import list_spaces, read_space

# The order of the alphas' columns in the released code of DARTS (arXiv 1806.09055).
DARTS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
ONE = "operators: [a, b]\ntopology: {intermediate_nodes: 1, edge_operators: {normal:"
SHIPPED = sorted(path.stem for path in shipped_folder("search_spaces").glob("*.yaml"))


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a space file and returns its path as a user types it."""

    def write_space(text, name="my_space"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return str(path)

    return write_space


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_space(name):
    space = read_space(name)
    text = (shipped_folder("search_spaces") / f"{name}.yaml").read_text()
    assert space.name == name
    assert text.startswith("#"), "a space starts with a comment naming its source"
    assert "arXiv" in text
    assert next(file for file in list_spaces() if file.name == name).description


def test_contents_of_the_shipped_spaces():
    assert [file.name for file in list_spaces()] == SHIPPED
    assert {"darts", "ir", "sandglass", "variant_a", "variant_b", "variant_c", "appendix", "tiny"} <= set(SHIPPED)
    assert read_space("darts") == Space("darts", DARTS, inputs=2, intermediate_nodes=4, edges_per_node=2)
    assert read_space("appendix").operators == (*DARTS, "conv_3x3", "conv_7x1_1x7")
    assert read_space("tiny").intermediate_nodes == 2
    for name in ("ir", "sandglass", "variant_a", "variant_b", "variant_c"):
        assert read_space(name).operators == (f"{name}_3x3_t6",)


def test_the_space_of_nas_bench_201():
    space = read_space("nb201")
    assert space.operators == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    assert space.edges == ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
    assert (space.kinds, space.concat, space.skeleton) == (("cell",), (3,), "nb201")
    assert (space.keeps_none, space.operators_as_retrained, space.combine) == (True, True, "sum")


def test_operators_for_each_edge():
    lists = [["b", "a"], ["c"], ["a"], ["a"], ["none", "c"]]
    space = Space(
        "own", ("none", "a", "b", "c"), intermediate_nodes=2, edge_operators={"reduce": lists, "normal": lists[::-1]}
    )
    assert space.operators_on("reduce", 0) == ("a", "b"), "in the order of the space"
    assert space.operators_on("normal", 0) == ("none", "c")
    assert hash(space) == hash(replace(space))
    assert space == replace(space)


def test_edges_of_a_cell():
    edges = read_space("darts").edges
    assert edges[:6] == ((2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 0))
    assert len(edges) == 14
    assert all(before < after for before, after in pairwise(edges))
    assert all(source < target for target, source in edges)
    assert read_space("darts").nodes == 7


def test_composition():
    assert read_space("darts+sandglass") == Space("darts+sandglass", (*DARTS, "sandglass_3x3_t6"))
    assert read_space("sandglass + darts").operators == ("sandglass_3x3_t6", *DARTS)
    assert read_space("darts+darts") == read_space("darts")
    assert read_space("sandglass+tiny").intermediate_nodes == 2
    assert read_space("appendix+darts").operators == read_space("appendix").operators


def test_composition_with_a_path(write):
    path = write("operators: [my_conv, none]\ntopology: {edges_per_node: 2}")
    assert read_space(f"darts+{path}") == Space("darts+my_space", (*DARTS, "my_conv"))
    assert read_space(path).operators == ("my_conv", "none")


def test_a_path_takes_precedence_over_a_name(write, tmp_path, monkeypatch):
    write("operators: [my_conv]", "darts")
    monkeypatch.chdir(tmp_path)
    assert read_space("darts.yaml").operators == ("my_conv",)
    assert read_space("darts").operators == DARTS


def test_the_name_of_a_space_is_sanitized(write):
    assert read_space(write("operators: [a]", "my space; x")).name == "my_space__x"


def test_disagreeing_files_are_refused(refused, write):
    other = write("operators: [a]\ntopology: {intermediate_nodes: 5}")
    refused(("intermediate_nodes", "4 in", "darts.yaml", "5 in", "my_space.yaml"), read_space, f"darts+{other}")
    refused(("intermediate_nodes", "2 in", "4 in"), read_space, "tiny+sandglass+darts")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "space='': is empty; allowed: appendix, darts,"),
        ("  ", "is empty"),
        (None, "is empty"),
        ("darts+", "a name is missing next to +"),
        ("+darts", "a name is missing next to +"),
        ("darts+sandglas", "unknown space 'sandglas': did you mean sandglass? (also allowed: the path of a YAML file)"),
        ("Darts", "did you mean darts"),
        ("..", "unknown space '..'"),
        ("no\nname", "unknown space 'no\\nname'"),
        ("../absent", "../absent: cannot be read (No such file or directory)"),
        ("absent.yaml", "absent.yaml: cannot be read (No such file or directory)"),
        ("\0.yaml", "cannot be read"),
    ],
)
def test_invalid_specs_are_refused(refused, spec, message):
    refused(message, read_space, spec)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("operator: [a]", "unknown key 'operator': did you mean operators?"),
        ("description: x", "operators: missing"),
        ("operators: []", "operators: expected a list of operator names, got []"),
        ("operators: sep_conv_3x3", "expected a list of operator names, got 'sep_conv_3x3'"),
        ("operators: [none]", "'none' is the only operator"),
        ("operators: [a, b, a]", "operator 'a' is listed twice"),
        ("operators: [a, 3]", "operator 3: invalid name; allowed: letters"),
        ("operators: [no]", "operator False: invalid name"),
        ("operators: [a-b]", "operator 'a-b': invalid name"),
        (f"operators: [{'a' * 65}]", "at most 64 characters"),
        (f"operators: [{', '.join(f'a{i}' for i in range(65))}]", "65 operators; allowed: at most 64"),
        ("operators: [a]\ndescription: [x]", "description: expected one line of text"),
        ("operators: [a]\ntopology: 4", "topology: expected a mapping, got 4"),
        ("operators: [a]\ntopology: {intermediate_node: 4}", "did you mean intermediate_nodes"),
        ("operators: [a]\ntopology: {inputs: true}", "inputs=True: must be a whole number in 1..63"),
        ("operators: [a]\ntopology: {inputs: 2.0}", "inputs=2.0: must be a whole number"),
        ("operators: [a]\ntopology: {inputs: '2'}", "inputs='2': must be a whole number"),
        ("operators: [a]\ntopology: {intermediate_nodes: 0}", "intermediate_nodes=0: must be a whole number in 1"),
        ("operators: [a]\ntopology: {edges_per_node: -1}", "edges_per_node=-1: must be a whole number in 1"),
        (
            f"operators: [{', '.join(f'a{i}' for i in range(64))}]\ntopology: {{intermediate_nodes: 61}}",
            "64 operators on each of 1952 edges; allowed: at most 10,000",
        ),
        (
            "operators: [a]\ntopology: {intermediate_nodes: 64}",
            "intermediate_nodes=64: must be a whole number in 1..63",
        ),
        ("operators: [a]\ntopology: {intermediate_nodes: 62}", "65 nodes with inputs and output; allowed: at most 64"),
        ("operators: [a]\ntopology: {edges_per_node: 3}", "edges_per_node=3: must be at most inputs=2"),
        ("operators: [a]\ntopology: {edges_per_node: every}", "must be a whole number in 1..63 or all"),
        ("operators: [a]\ntopology: {kinds: cell}", "kinds='cell': expected 1 to 8 names"),
        ("operators: [a]\ntopology: {kinds: [a b]}", "kind of cell 'a b': invalid name"),
        ("operators: [a]\ntopology: {output: first}", "output='first': must be concat or last"),
        ("operators: [a]\ntopology: {output: last}", "output=last: needs edges_per_node=all"),
        ("operators: [a]\ntopology: {combine: max}", "combine='max': must be sum or mean"),
        ("operators: [a]\ntopology: {skeleton: 3}", "skeleton=3: must be the name of a skeleton"),
        ("operators: [a]\ntopology: {operators_per_edge: 0}", "operators_per_edge=0: must be a whole number"),
        ("operators: [a]\ntopology: {operators_as_retrained: 1}", "operators_as_retrained=1: must be true or false"),
        (f"{ONE} [[a], [b]]}}}}", "edge_operators: expected the kinds normal, reduce, got ['normal']"),
        (f"{ONE} [[a]], reduce: [[a], [b]]}}}}", "edge_operators of normal: expected 2 lists of operators"),
        (f"{ONE} [[a], [c]], reduce: [[a], [b]]}}}}", "edge 2←1: operator 'c' is not among the space's: a, b"),
        (f"{ONE} [[a], [a]], reduce: [[a], [a]]}}}}", "operator 'b' is on no edge"),
        (f"{ONE} [[a], []], reduce: [[a], [b]]}}}}", "edge 2←1: operators: expected a list of operator names"),
        ("operators: [a]\ntopology: {edge_operators: [a]}", "expected the operators of every edge by kind of cell"),
    ],
)
def test_invalid_files_are_refused(refused, write, text, message):
    refused((message, "my_space"), read_space, write(text))


def test_a_space_made_in_python_is_validated():
    assert Space("mine", ["a", "b"]).operators == ("a", "b")
    with pytest.raises(InputError, match="listed twice"):
        Space("mine", ("a", "a"))
    with pytest.raises(InputError, match="inputs=0"):
        Space("mine", ("a",), inputs=0)
    with pytest.raises(InputError, match="at most 200 characters"):
        Space("x" * 201, ("a",))


def test_a_file_with_operators_for_each_edge_is_not_composed(refused, write):
    path = write(f"{ONE} [[a], [b]], reduce: [[b], [a, b]]}}}}")
    assert read_space(path).operators_on("reduce", 1) == ("a", "b")
    refused("lists operators for each edge, so it cannot be composed", read_space, f"darts+{path}")


def test_fingerprint_of_fields_unlike_those_of_darts(write):
    text = "operators: [a, b]\ntopology: {intermediate_nodes: 1, combine: mean}"
    assert space_fingerprint(read_space(write(text)))["space.topology"] == (
        "inputs 2, intermediate_nodes 1, edges_per_node 2, combine mean"
    )
    parts = space_fingerprint(read_space(write(f"{ONE} [[a], [b]], reduce: [[b], [a, b]]}}}}")))
    other = space_fingerprint(read_space(write(f"{ONE} [[b], [a]], reduce: [[b], [a, b]]}}}}")))
    assert [name for name in parts if parts[name] != other[name]] == ["space.edge_operators"]


def test_fingerprint(write):
    text = "operators: [none, a, b]\ntopology: {intermediate_nodes: 3}"
    before = space_fingerprint(read_space(write(text)))
    assert before["space.operators"] == hashlib.sha256(b"none a b").hexdigest()
    assert before["space.topology"] == "inputs 2, intermediate_nodes 3, edges_per_node 2"
    assert space_fingerprint(read_space(write(f"# A comment\n{text}\n", "moved"))) == before
    for old, new, part in [
        ("none, a, b", "none, b, a", "operators"),
        ("none, a, b", "none, a", "operators"),
        ("nodes: 3", "nodes: 4", "topology"),
        ("nodes: 3", "nodes: 3, inputs: 3", "topology"),
        ("nodes: 3", "nodes: 3, edges_per_node: 1", "topology"),
    ]:
        after = space_fingerprint(read_space(write(text.replace(old, new))))
        assert [name for name in before if before[name] != after[name]] == [f"space.{part}"]


def test_an_existing_file_wins_over_the_plus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c++").mkdir()
    (tmp_path / "c++" / "s.yaml").write_text("operators: [conv_1x1]\n")
    assert read_space("c++/s.yaml").operators == ("conv_1x1",)
    assert read_space("sandglass+c++/s.yaml").operators == ("sandglass_3x3_t6", "conv_1x1")
    assert read_space("c++/s.yaml+sandglass").operators == ("conv_1x1", "sandglass_3x3_t6")
    with pytest.raises(InputError, match="a name is missing next to"):
        read_space("c++/t.yaml")
