"""The runner of ``make gpu``, on the CPU with small pieces: results, resume, failures, time limits, missing modules."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpu import run
from gpu.pieces import PIECES, Piece

ROOT = Path(__file__).resolve().parents[2]


def piece(name: str, code: str, **options) -> Piece:
    fixed = {"shows": "nothing", "minutes": 1, "needs": (), "gpu": False}
    return Piece(name=name, command=f'{{python}} -c "{code}"', **{**fixed, **options})


@pytest.fixture
def make(tmp_path, capsys):
    """Return a function that runs pieces and returns the exit code, what was printed, and the results by name."""

    def call(*pieces, **options):
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        code = run.main(["--folder", str(tmp_path), *arguments], pieces)
        results = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
        assert {path.name for path in tmp_path.iterdir()} == {f"{name}.json" for name in results}
        return code, capsys.readouterr().out, results

    return call


def test_results_and_resume(make, tmp_path):
    counting = piece("counting", f"open('{tmp_path.parent / tmp_path.name}.count','a').write('x'); print(7)")
    count = tmp_path.with_name(f"{tmp_path.name}.count")
    code, out, results = make(counting)
    assert code == 0
    assert "counting: done in" in out
    assert (results["counting"]["status"], results["counting"]["output"]) == ("done", "7\n")
    assert results["counting"]["environment"]["torch"]
    code, out, _ = make(counting)
    assert (code, count.read_text()) == (0, "x")
    assert "counting: done before" in out
    assert (make(counting, piece="counting")[0], count.read_text()) == (0, "xx")  # named: once more
    other = json.loads((tmp_path / "counting.json").read_text())
    other["environment"]["git_commit"] = "another"
    (tmp_path / "counting.json").write_text(json.dumps(other))
    assert (make(counting)[0], count.read_text()) == (0, "xxx")  # a result of another commit does not count


def test_a_piece_that_has_more_to_do_is_called_again(make):
    code, out, results = make(piece("long", f"import sys; sys.exit({run.UNFINISHED})"))
    assert code == 1
    assert results["long"]["status"] == "not finished, continues in the next call"
    assert "not done: long (not finished" in out


def test_a_failure_is_listed_and_the_rest_runs(make):
    pieces = piece("bad", "import sys; print('why'); sys.exit(3)"), piece("good", "pass")
    code, out, results = make(*pieces)
    assert code == 1
    assert "    why\n" in out
    assert "not done: bad (failed: exit code 3)" in out
    assert {name: result["status"] for name, result in results.items()} == {
        "bad": "failed: exit code 3",
        "good": "done",
    }
    assert "good: done before" in make(*pieces)[1]  # and the failed one ran again
    assert "bad: done before" not in make(*pieces)[1]


def test_a_piece_is_killed_at_its_time_limit_with_what_it_started(make, tmp_path):
    alive = tmp_path.with_name(f"{tmp_path.name}.alive")
    child = f"import time\\nwhile True: open('{alive}', 'w').close(); time.sleep(0.05)"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', '''{child}''']); time.sleep(60)"
    started = time.monotonic()
    assert make(piece("endless", code, minutes=1 / 30))[2]["endless"]["status"] == "failed: time limit"
    assert time.monotonic() - started < 30
    alive.unlink()
    time.sleep(0.3)
    assert not alive.exists()


def test_figures_are_kept(make):
    saving = Piece("saving", "figures", "{python} -c \"open(r'{figures}','w').write('[1.5]')\"", 1, (), gpu=False)
    assert make(saving)[2]["saving"]["figures"] == [1.5]
    silent = Piece("silent", "figures", "{python} -c pass {figures}", 1, (), gpu=False)
    assert make(silent)[2]["silent"]["status"] == "failed: no figures were saved"


def test_missing_modules_and_gpu_are_named(make, monkeypatch):
    code, out, _ = make(piece("modules", "pass", needs=("json", "no_such_module")))
    assert code == 1
    assert "modules (skipped: Python modules are missing: no_such_module)" in out
    monkeypatch.setattr(run, "_machine", lambda: {"gpu": None, "torch": "2", "git_commit": None})
    pieces = piece("cuda", "pass", gpu=True), piece("cpu", "pass")
    assert "not done: cuda (skipped: torch sees no NVIDIA GPU)" in make(*pieces)[1]
    assert make(pieces[0])[0] == 2


def test_unknown_piece(capsys):
    assert run.main(["--piece", "nonsense"]) == 2
    assert "data-tests" in capsys.readouterr().err


def test_pieces_are_valid():
    assert len({piece.name for piece in PIECES}) == len(PIECES)
    for entry in PIECES:
        assert re.fullmatch(r"[a-z0-9-]+", entry.name)
        assert 0 < entry.minutes < 10
        for path in re.findall(r"\S+\.py", entry.command):
            assert (ROOT / path).exists()


BARE = """
import sys
from importlib.machinery import PathFinder

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in MISSING else super().find_spec(name, path, target)

MISSING = {"hydra", "omegaconf", "graphviz", "tensorboard", "sklearn", "safetensors"}
sys.meta_path[sys.meta_path.index(PathFinder)] = Bare
sys.path.insert(0, "benchmarks")
import bench_search_step
import nas.search.loop, nas.train.loop, nas.data, nas.costs.count, nas.profiling.step_time
settings = "--device cpu --space tiny --channels 2 --cells 3 --batch 2 --repeats 1 --order 1 --execution batched"
sys.argv[1:] = [*settings.split(), "--save", "FIGURES"]
bench_search_step.main()
"""


def test_the_benchmark_runs_on_a_bare_machine(tmp_path):
    """Run the step benchmark without Hydra, omegaconf, Graphviz, TensorBoard, scikit-learn and safetensors."""
    code = BARE.replace("FIGURES", str(tmp_path / "figures.json"))
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    (row,) = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert row["both"]["median"] > 0
