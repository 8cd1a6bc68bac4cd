import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nas.core.paths import shipped_folder
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import list_cells, load_genotype

COUNTS = Path(__file__).parents[1] / "models" / "published_counts.json"


@pytest.mark.parametrize("name", list_cells())
def test_every_shipped_cell(name):
    genotype = load_genotype(name)
    assert genotype.name == name == name.lower()
    assert genotype.origin.source or genotype.origin.space, "a cell states its provenance"
    drawing = (shipped_folder("cells") / f"{name}.svg").read_text()
    texts = {element.text for element in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")}
    assert genotype.operators() <= texts
    assert f"{name}: normal cell" in texts


def test_a_published_cell():
    cell = load_genotype("darts_v2")
    assert cell.nodes("normal")[3] == (5, (("skip_connect", 0), ("dil_conv_3x3", 2)))
    assert cell.nodes("reduce")[0] == (2, (("max_pool_3x3", 0), ("max_pool_3x3", 1)))
    assert cell.normal_concat == cell.reduce_concat == (2, 3, 4, 5)
    assert cell.origin.published_as == "DARTS_V2"
    assert cell.origin.published[0].test_err == 2.63


def test_cells_of_other_sizes():
    nasnet, amoebanet = load_genotype("nasnet"), load_genotype("amoebanet")
    assert (nasnet.normal_concat, nasnet.reduce_concat) == ((2, 3, 4, 5, 6), (4, 5, 6))
    assert (5, (("avg_pool_3x3", 0), ("avg_pool_3x3", 0))) in nasnet.nodes("normal")
    assert (amoebanet.normal_concat, amoebanet.reduce_concat) == ((4, 5, 6), (3, 4, 6))


def test_every_cell_with_published_counts_is_shipped():
    assert set(json.loads(COUNTS.read_text())) <= set(list_cells())


def test_all_kinds_of_specs(tmp_path):
    cell = load_genotype("darts_v2")
    text = format_tuple_notation(cell)
    (tmp_path / "found.txt").write_text(text)
    (tmp_path / "found.py").write_text(f"MINE = {text}\n")
    (tmp_path / "Found.YML").write_text(
        (shipped_folder("cells") / "darts_v2.yaml").read_text().replace("name: darts_v2\n", "")
    )
    assert load_genotype(cell) is cell
    for spec in ("DARTS_V2", text, f"A = {text}", str(tmp_path / "found.txt"), tmp_path / "found.py"):
        assert load_genotype(spec) == cell
    assert load_genotype(tmp_path / "found.txt").name == "found"
    assert load_genotype(tmp_path / "found.py").name == "mine"
    assert load_genotype(tmp_path / "Found.YML").name == "Found"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "unknown cell '': known are amoebanet, darts_v1,"),
        ("darts_v3", "unknown cell 'darts_v3': did you mean darts_v2"),
        ("darts_v3", "(also allowed: a run folder, a file (.yaml, .py, .json, …), Genotype(…))"),
        ("../../etc/passwd", "unknown cell '../../etc/passwd'"),
        ("/etc/passwd", "unknown cell '/etc/passwd'"),
        ("../cells/darts_v2", "unknown cell '../cells/darts_v2'"),
        ("cells\0", "unknown cell 'cells\\x00'"),
        ("x" * 100_000, "unknown cell 'xxx"),
        ("absent.yaml", "absent.yaml: cannot be read (No such file or directory)"),
        ("\0.yaml", "cannot be read"),
        ("x" * 5000 + ".yaml", "cannot be read"),
        (Path("/etc/passwd"), "/etc/passwd: not a genotype file; allowed: .yaml, .yml, .txt, .py"),
        (None, "genotype None: expected a name, a path or tuple notation"),
        (3, "genotype 3"),
        ("Genotype(", "tuple notation, line 1: cannot be parsed"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_invalid_specs_are_refused(refused, spec, message):
    refused(message, load_genotype, spec)


def test_errors_name_the_file(refused, tmp_path):
    for ending, text in {
        "yaml": "normal: 1\nreduce: 1",
        "txt": "Genotype(normal=3, reduce=3)",
        "py": "import os",
    }.items():
        path = tmp_path / f"bad.{ending}"
        path.write_text(text)
        refused(f"bad.{ending}: ", load_genotype, path)


def test_shipped_cells_do_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_genotype("pdarts"), Genotype)


def test_a_run_folder_stands_for_its_cell(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = load_genotype("darts_v1")
    Path("runs/mine").mkdir(parents=True)
    save_genotype(replace(found, name=""), Path("runs/mine/genotype.yaml"))
    for spec in ("runs/mine", Path("runs/mine"), f"{tmp_path}/runs/mine/"):
        assert (load_genotype(spec), load_genotype(spec).name) == (found, "mine")
    monkeypatch.chdir("runs/mine")
    assert load_genotype(".") == load_genotype("../mine") == found
    refused("../../runs: holds no genotype.yaml", load_genotype, "../../runs")
    refused("unknown cell '..'", load_genotype, "..")
    (tmp_path / "runs/mine/darts_v2").mkdir()
    assert load_genotype("darts_v2") != found  # the names that are included win
