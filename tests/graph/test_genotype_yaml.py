import errno
from pathlib import Path

import pytest

from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import genotype_from_yaml, genotype_to_yaml, save_genotype
from nas.graph.provenance import Provenance

EDGES = (("sep_conv_3x3", 0), ("skip_connect", 1))
GENOTYPE = Genotype(EDGES, (2,), EDGES, (2,), name="mine", origin=Provenance(space="tiny", seed=1, date="2025-01-31"))
TEXT = """\
name: mine
origin:
  space: tiny
  seed: 1
  date: '2025-01-31'
normal:
  2: [[sep_conv_3x3, 0], [skip_connect, 1]]
  concat: [2]
reduce:
  2: [[sep_conv_3x3, 0], [skip_connect, 1]]
  concat: [2]
"""
CELL = "{2: [[a, 0], [b, 1]], concat: [2]}"


def test_the_text_of_a_file():
    assert genotype_to_yaml(GENOTYPE) == TEXT
    assert genotype_from_yaml(TEXT, "f") == GENOTYPE


def test_a_date_may_be_unquoted():
    assert genotype_from_yaml(TEXT.replace("'", ""), "f").origin.date == "2025-01-31"


def test_other_sizes_are_written():
    edges = [("a", 0), ("b", 1), ("c", 2)]
    genotype = Genotype(edges, [3], edges, [3], inputs=3, edges_per_node=3)
    text = genotype_to_yaml(genotype)
    assert text.startswith("inputs: 3\nedges_per_node: 3\nnormal:\n  3: ")
    assert genotype_from_yaml(text, "f") == genotype


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a YAML mapping (key: value) is expected"),
        (f"normal: {CELL}", "the reduce cell is missing"),
        (f"normal: {CELL}\nreduce: {CELL}\nnam: x", "unknown key 'nam': did you mean name?"),
        (f"normal: {CELL}\nreduce: {CELL}\nname: 3", "name=3: must be one line"),
        (f"normal: {CELL}\nreduce: {CELL}\ninputs: two", "inputs='two': must be a whole number"),
        (f"normal: {CELL}\nreduce: {CELL}\norigin: {{seed: x}}", "origin.seed: expected a whole number"),
        (f"normal: [a]\nreduce: {CELL}", "normal cell: expected a mapping of nodes, got ['a']"),
        (f"normal: {CELL}\nreduce: {{2: [[a, 0], [b, 1]]}}", "reduce cell: concat is missing"),
        (
            f"normal: {CELL}\nreduce: {{3: [[a, 0], [b, 1]], concat: [3]}}",
            "reduce cell: nodes [3]: expected 2, 3, … without a gap",
        ),
        (f"normal: {CELL}\nreduce: {{x: [[a, 0], [b, 1]], concat: [2]}}", "reduce cell: nodes ['x']"),
        (
            f"normal: {CELL}\nreduce: {{2: [[a, 0]], concat: [2]}}",
            "reduce cell, node 2: expected a list of 2 [operator, source]",
        ),
        (f"normal: {CELL}\nreduce: {{2: x, concat: [2]}}", "reduce cell, node 2: expected a list of 2"),
        (f"normal: {CELL}\nreduce: {{2: [[a, 0], [b]], concat: [2]}}", "reduce cell: edge ['b']"),
        (f"normal: {CELL}\nreduce: {{2: [[a, 0], [b, 2]], concat: [2]}}", "reduce cell: cycle 2 → 2"),
        (
            f"normal: {CELL}\nreduce: {{2: [[a, 0], [none, 1]], concat: [2]}}",
            "operator 'none' exists only in the search",
        ),
        (f"normal: {CELL}\nreduce: {{2: [[a, 0], [b, 1]], concat: 2}}", "reduce cell: concat 2"),
        (f"cell: {CELL}", "unknown key 'cell'"),
        (f"skeleton: other\n'a b': {CELL}", "kind of cell 'a b': invalid name"),
        ("skeleton: other", "expected 1 to 8 names of kinds of cell"),
    ],
)
def test_invalid_files_are_refused(refused, text, message):
    refused(("cell.yaml: ", message), genotype_from_yaml, text, "cell.yaml")


def test_a_file_with_another_skeleton():
    text = """\
inputs: 1
edges_per_node: all
skeleton: nb201
combine: mean
cell:
  1: [[a, 0]]
  2: [[none, 0], [b, 1]]
  concat: [2]
"""
    genotype = genotype_from_yaml(text, "f")
    assert genotype.nodes("cell") == [(1, (("a", 0),)), (2, (("none", 0), ("b", 1)))]
    assert genotype_to_yaml(genotype) == text


def test_saving_creates_folders(tmp_path):
    path = tmp_path / "new" / "cell.yaml"
    save_genotype(GENOTYPE, str(path))
    assert path.read_text() == TEXT
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file(refused, tmp_path, monkeypatch):
    path = tmp_path / "cell.yaml"
    path.write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr("os.replace", full)
    refused(("cell.yaml", "No space left on device"), save_genotype, GENOTYPE, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_path_is_refused(refused, tmp_path):
    (tmp_path / "file").write_text("")
    refused("cannot be written", save_genotype, GENOTYPE, tmp_path / "file" / "cell.yaml")
