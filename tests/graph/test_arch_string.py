"""Strings of NAS-Bench-201 (arXiv 2001.00326, its released code): parsed, written, refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.graph.arch_string import format_arch_string, parse_arch_string
from nas.graph.genotype_yaml import save_genotype
from nas.graph.zoo import load_genotype

TEXT = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|none~2|"
OPERATORS = st.sampled_from(["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"])


def test_a_string():
    genotype = load_genotype(TEXT)
    assert (genotype.kinds, genotype.skeleton, genotype.concat("cell")) == (("cell",), "nb201", (3,))
    assert genotype.nodes("cell") == [
        (1, (("avg_pool_3x3", 0),)),
        (2, (("nor_conv_1x1", 0), ("skip_connect", 1))),
        (3, (("nor_conv_1x1", 0), ("skip_connect", 1), ("none", 2))),
    ]


@given(st.lists(OPERATORS, min_size=6, max_size=6))
def test_round_trips(names):
    one, two, three, four, five, six = names
    text = f"|{one}~0|+|{two}~0|{three}~1|+|{four}~0|{five}~1|{six}~2|"
    assert format_arch_string(parse_arch_string(text)) == text


def test_files(tmp_path):
    (tmp_path / "found.txt").write_text(TEXT + "\n")
    genotype = load_genotype(tmp_path / "found.txt")
    assert (genotype, genotype.name) == (load_genotype(TEXT), "found")
    save_genotype(genotype, tmp_path / "found.yaml")
    assert load_genotype(tmp_path / "found.yaml") == genotype


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|", "node 1 is '|'; expected |nor_conv_3x3~0|+"),
        ("||", "edge '' of node 1: expected operator~source"),
        ("|a~0|+a~0|b~1|", "node 2 is 'a~0|b~1|'"),
        ("|a~0|+|a~0|b|", "edge 'b' of node 2: expected operator~source"),
        ("|a~0|+|a~0|b~0|", "cell: node 2 has the sources [0, 0]; expected each of 0..1 once"),
        ("|a~0|+|a~0|", "cell: node 2 has 1 edges; expected 2"),
        ("|a~0|+|a~0|b~2|", "cell: node 2 has the sources [0, 2]"),
        ("|a b~0|", "edge 'a b~0'"),
        ("|a~-1|", "edge 'a~-1'"),
        ("+".join(["|a~0|"] * 65), "is too long"),
    ],
)
def test_other_texts_are_refused(refused, text, message):
    refused(("architecture string: ", message), load_genotype, text)


def test_genotypes_without_a_string_are_refused(refused):
    refused(
        "darts_v2: no architecture string; expected one kind of cell", format_arch_string, load_genotype("darts_v2")
    )
