"""Tables of true accuracies: ranks and expectations against enumeration, and what is refused."""

import importlib.util
import itertools
import lzma
import pickle
import statistics
import sys
import types
from pathlib import Path

import pytest

import nas
from nas.core.errors import InputError
from nas.reports.truth_table import TruthTable, read_truth_table
from tests.helpers.command_lines import ROOT
from tests.helpers.truth import CELLS, write_table


def test_ranks_and_percentiles_count_equal_cells():
    table = TruthTable("t", dict(zip("abcde", [10.0, 20.0, 20.0, 30.0, 40.0], strict=True)))
    assert [table.rank(a) for a in (40.0, 30.0, 20.0, 10.0)] == [1, 2, 3, 5]
    assert [table.percentile(a) for a in (40.0, 20.0, 10.0)] == [90.0, 40.0, 10.0]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_expected_best_is_that_of_all_draws(number):
    values = [10.0, 20.0, 20.0, 35.0]
    table = TruthTable("t", dict(zip("abcd", values, strict=True)))
    wanted = statistics.fmean(max(draw) for draw in itertools.product(values, repeat=number))
    assert table.expected_best(number) == pytest.approx(wanted)


def test_a_sample_is_of_different_cells_and_depends_on_the_seed_alone():
    table = TruthTable("t", {str(n): float(n) for n in range(50)})
    assert len(set(table.sample(20))) == 20
    assert table.sample(20) == table.sample(20) != table.sample(20, seed=1)
    assert set(table.sample(99)) == set(table.accuracies)


def test_cells_are_found_by_their_string_in_normal_form(tmp_path):
    path = write_table(tmp_path / "t.csv", columns=2)
    table = read_truth_table(path, "b")
    assert table.accuracy(nas.load_genotype(CELLS[1])) == 51.0
    packed = tmp_path / "t.csv.xz"
    packed.write_bytes(lzma.compress(path.read_bytes()))
    assert read_truth_table(packed, "b").accuracies == table.accuracies
    unknown = CELLS[0].replace("none", "skip_connect")
    with pytest.raises(InputError, match=r"column b: has no cell .*; expected: a table of all cells of the space"):
        table.accuracy(nas.load_genotype(unknown))
    with pytest.raises(InputError, match="no architecture string"):
        table.accuracy(nas.load_genotype("darts_v2"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the header is ''; expected: cell,COLUMN"),
        ("cell\n", "the header is 'cell'"),
        ("cell,a,b\n", "has several columns; choose a column: a, b"),
        ("cell,a\n", "has no cells"),
        (f"cell,a\n{CELLS[0]},101\n", "line 2: accuracy '101': must be a number in 0..100"),
        (f"cell,a\n{CELLS[0]},nan\n", "must be a number in 0..100"),
        (f"cell,a\n{CELLS[0]}\n", "line 2: has 1 fields"),
        (f"cell,a\n{CELLS[0]},1\n{CELLS[0]},2\n", "line 3: the cell .* is listed twice"),
        ("cell,a\nsomething,1\n", "line 2: node 1 is 'something'"),
    ],
)
def test_other_files_are_refused(tmp_path, text, complaint):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=complaint):
        read_truth_table(tmp_path / "t.csv")


def test_unknown_columns_and_broken_archives_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"column 'aa': .* has no such column; did you mean a"):
        read_truth_table(write_table(tmp_path / "t.csv"), "aa")
    (tmp_path / "t.csv.xz").write_bytes(b"cell,a\n")
    with pytest.raises(InputError, match="cannot be read as a table"):
        read_truth_table(tmp_path / "t.csv.xz")


@pytest.fixture
def script():
    """The script that makes the table, as a module."""
    spec = importlib.util.spec_from_file_location("truth_table_script", ROOT / "benchmarks" / "truth_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_reads_a_package_without_importing_it(script, monkeypatch):
    package = types.ModuleType("analognasbench.data")
    record = type("Architecture", (), {"__module__": package.__name__})
    package.Architecture = record
    monkeypatch.setitem(sys.modules, "analognasbench", types.ModuleType("analognasbench"))
    monkeypatch.setitem(sys.modules, package.__name__, package)
    entry = record()
    entry.baseline_accuracy = 60.5
    data = pickle.dumps({(0, 1, 2, 3, 4, 0): entry})
    monkeypatch.undo()
    (found,) = script.read_accuracies(data, "data").items()
    assert found == ("|skip_connect~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|skip_connect~2|", 60.5)


class _Evil:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def test_the_script_runs_nothing(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="it names"):
        script.read_accuracies(pickle.dumps({(0,) * 6: _Evil()}), "data")
    assert not list(tmp_path.iterdir())
