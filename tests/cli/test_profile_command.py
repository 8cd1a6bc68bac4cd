"""``python -m nas profile``: the table, the files, and one line for bad input."""

import json

import pytest

from nas.cli.main import main
from nas.profiling import step_flops
from tests.helpers.command_lines import TINY

OPERATORS = ["none", "skip_connect", "max_pool_3x3", "sep_conv_3x3", "sandglass_3x3_t6"]


@pytest.fixture
def profiled(ended, elsewhere, monkeypatch):
    monkeypatch.setitem(step_flops.SIDES, "cpu", 64)
    return lambda *words: ended(lambda: main(["profile", *words]))


@pytest.mark.parametrize("execution", ["fused", "reference"])
def test_the_table_and_the_files(execution, profiled, elsewhere):
    code, out, complaints = profiled(*TINY, f"execution={execution}", "--steps", "1", "--output", "found")
    assert (code, complaints) == (0, [])
    report = json.loads((elsewhere / "found/profile.json").read_text())
    assert sum(row["share"] for row in report["rows"]) == pytest.approx(1)
    assert sum(row["seconds"] for row in report["rows"]) == pytest.approx(report["profiled_step_seconds"])
    names = [row["name"] for row in report["rows"]]
    assert set(OPERATORS) <= set(names)
    assert names[-3:] == ["optimizer", "data", "other"]
    assert (report["config"]["execution"], report["config"]["space"]) == (execution, "tiny")
    assert report["environment"]["torch"]
    assert len(report["step_seconds"]["each"]) == 1
    assert json.loads((elsewhere / "found/trace.json").read_text())["traceEvents"]
    lines = out.splitlines()
    assert lines[0].startswith(
        f"tiny on digits, C=2, 3 cells, batch 16, 8x8, fp32, {execution}, order 1, cpu, 1 thread"
    )
    assert all(any(line.startswith(f"{name} ") for line in lines) for name in names)
    for part in ("without profiler", "multiply-adds per image", "GFLOP/s", "data ", "found/trace.json"):
        assert part in out


def test_each_profile_gets_its_own_folder(profiled, elsewhere):
    for _ in range(2):
        assert profiled(*TINY, "--steps", "1").code == 0
    folders = ["profile-tiny-fused", "profile-tiny-fused-2"]
    assert sorted(path.name for path in (elsewhere / "runs").iterdir()) == folders


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--steps", "0"], ["--steps 0", "at least 1"]),
        (["spce=darts"], ["unknown key spce", "did you mean space?"]),
        (["space=darts,tiny"], ["space=darts,tiny", "one value"]),
        (["space=nope"], ["unknown space 'nope'"]),
        (["preset=null"], ["allowed: a name that the group has"]),
        (["nothing"], ["nothing: cannot be read as key=value"]),
        (["channels=0"], ["channels=0", "at least 1"]),
        (["space=${nope}"], ["nope"]),
        (["resume=true"], ["resume=True", "--steps N"]),
        (["max_minutes=1"], ["max_minutes=1.0", "--steps N"]),
        (["run.dir=there"], ["run.dir=there", "--output FOLDER"]),
        (["data.limit=1"], ["1 training images", "split"]),
        (["--output", "taken/below"], ["--output taken/below", "cannot be created"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_bad_input_is_one_line(words, parts, profiled, elsewhere):
    (elsewhere / "taken").write_text("a file")
    code, out, complaints = profiled(*TINY, *words)
    assert (code, out, len(complaints)) == (2, "", 1), complaints
    assert complaints[0].startswith("error: ")
    assert all(part in complaints[0] for part in parts), complaints
    assert [path.name for path in elsewhere.iterdir()] == ["taken"]
