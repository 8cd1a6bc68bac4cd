import sys

import pytest

from nas.graph.genotype import Genotype
from nas.graph.tuple_notation import format_tuple_notation, parse_tuple_notation

EDGES = (("sep_conv_3x3", 1), ("skip_connect", 0), ("max_pool_3x3", 2), ("skip_connect", 0))
CELLS = f"normal={EDGES}, reduce={EDGES}"
GENOTYPE = Genotype(EDGES, (2, 3), EDGES, (3,))
NESTED = "nested too deeply" if sys.version_info < (3, 13) else "only literals"  # who refuses it: parser or literals


def test_published_text_with_name_newlines_and_comments():
    text = """
    # from somebody's genotypes.py
    My_Cell = Genotype(
        normal=[('sep_conv_3x3', 1), ('skip_connect', 0),  # node 2
                ("max_pool_3x3", 2), ("skip_connect", 0)], normal_concat=range(2, 4),
        reduce=[('sep_conv_3x3', 1), ('skip_connect', 0), ('max_pool_3x3', 2), ('skip_connect', 0)],
        reduce_concat=[3],
    )
    """
    genotype = parse_tuple_notation(text)
    assert genotype == GENOTYPE
    assert genotype.name == "my_cell"


def test_concat_is_optional():
    assert parse_tuple_notation(f"Genotype({CELLS})").normal_concat == (2, 3)
    assert parse_tuple_notation(f"Genotype({CELLS}, reduce_concat=[3])") == GENOTYPE


def test_format_tuple_notation():
    assert format_tuple_notation(Genotype(EDGES[:2], [2], EDGES[:2], [2])) == (
        "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0)], normal_concat=[2], "
        "reduce=[('sep_conv_3x3', 1), ('skip_connect', 0)], reduce_concat=[2])"
    )
    one = Genotype([("a", 0)], [1], [("a", 0)], [1], inputs=1)
    assert format_tuple_notation(one).endswith("reduce_concat=[1], inputs=1)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected one Genotype(normal="),
        ("3", "reduce_concat=range(2, 6)), got '3'"),
        (f"x.Genotype({CELLS})", "one Genotype("),
        (f"a = b = Genotype({CELLS})", "one Genotype("),
        (f"print(Genotype({CELLS}))", "one Genotype("),
        ("Genotype(", "line 1: cannot be parsed ('(' was never closed); expected Genotype(normal="),
        ("Genotype(normal=[('a' 0)])", "cannot be parsed (invalid syntax"),
        ("Genotype([], [])", "positional arguments; expected keywords"),
        ("Genotype(**{})", "positional arguments; expected keywords"),
        (f"Genotype({CELLS}, norml=1)", "unknown key 'norml': did you mean normal"),
        ("Genotype(normal=[('a', 0), ('b', 1)])", "reduce=[…] is missing"),
        (
            "Genotype(normal=__import__('os').getcwd(), reduce=[])",
            "normal: only literals and range(a, b) are allowed",
        ),
        ("Genotype(normal=[x for x in y], reduce=[])", "normal: only literals"),
        ("Genotype(normal=[('a' * 9, 0)], reduce=[])", "normal: only literals"),
        (f"Genotype({CELLS}, normal_concat=range('2', 4))", "normal_concat: only literals"),
        (f"Genotype({CELLS}, normal_concat=range(10**9))", "normal_concat: only literals"),
        (f"Genotype({CELLS}, normal_concat=range(1000000000))", "normal cell: concat [0, 1, 2"),
        (f"Genotype({CELLS}, inputs=0)", "inputs=0: must be a whole number"),
        (f"Genotype({CELLS}, edges_per_node=0)", "edges_per_node=0: must be a whole number"),
        ("Genotype(normal=3, reduce=3)", "normal cell: expected a list of (operator, source), got 3"),
        (
            "Genotype(normal={1: 2}, reduce=[('a', 0), ('b', 1)])",
            "expected a list of (operator, source), got {1: 2}",
        ),
        ("Genotype(normal=[('a', 0)], reduce=[])", "normal cell: node 2 has 1 of its 2 edges"),
        ("Genotype(normal=[('a', 0), ('b', 2)], reduce=[('a', 0), ('b', 1)])", "normal cell: cycle 2 → 2"),
        ("Genotype(normal=\0)", "cannot be parsed"),
        ("Genotype(normal=" + "(" * 1000, "cannot be parsed"),
        ("Genotype(normal=" + "[" * 150 + "]" * 150 + ", reduce=[])", "normal cell: edge [[["),
        ("Genotype(normal=" + "-" * 3000 + "1, reduce=1)", NESTED),
        ("Genotype(normal=" + "-" * 900_000 + "1, reduce=1)", "nested too deeply"),
        ("Genotype(normal=" + "1+" * 90_000 + "1, reduce=1)", "nested too deeply"),
        (f"Genotype({CELLS}, inputs={'9' * 5000})", "cannot be parsed"),
        (f"Genotype({CELLS}, inputs=0x{'f' * 5000})", "inputs=a number of thousands of digits"),
        ("#" * 1_000_001, "is longer than 1,000,000 characters"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_invalid_texts_are_refused(refused, text, message):
    refused(("cell.txt", message), parse_tuple_notation, text, "cell.txt")


def test_invalid_escapes_do_not_warn(refused):
    refused(
        "operator 'a\\\\d'",
        parse_tuple_notation,
        r"Genotype(normal=[('a\d', 0), ('b', 1)], reduce=[('a', 0), ('b', 1)])",
    )
