"""A few seeds of the campaign, and that its judge, its guard and its command can fail."""

import sys
from dataclasses import replace

import pytest
import torch

from nas.kernels import batchnorm_stats, build, native, node_sum
from nas.models import supernet
from tests.fuzz import campaign, workers
from tests.fuzz.alterations import ALTERATIONS
from tests.fuzz.cases import Case, Drawn, build_batch, build_network, draw_case
from tests.fuzz.compare import Yardstick, distance, judge
from tests.fuzz.layers import BROKEN, STAYING, STRIDING, WIDENING, build_recipe
from tests.fuzz.run import Way, compute
from tests.fuzz.shrink import shrink

SEEDS = (0, 2, 20, 22, 37, 39, 42, 45, 46, 47, 54, 62, 6144, pytest.param(6291, marks=pytest.mark.slow))
PLAIN = Case(
    seed=0,
    path="search",
    mode="order 1",
    train=True,
    operators=("sep_conv_3x3", "max_pool_3x3"),
    inputs=1,
    nodes=1,
    edges_per_node=1,
    channels=3,
    cells=1,
    batch=3,
    height=5,
    width=4,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_few_seeds(seed):
    verdict = judge(draw_case(seed))
    assert verdict.outcome in ("agreed", "refused", "invalid"), verdict


@pytest.mark.parametrize("path", ["search", "train"])
def test_a_plain_case_agrees(path):
    case = replace(PLAIN, path=path, mode="order 1" if path == "search" else "backward")
    assert judge(case).outcome == "agreed"


def test_a_case_depends_on_its_seed_alone():
    assert draw_case(5) == draw_case(5) != draw_case(6)
    (one, _), (other, _) = build_network(draw_case(5)), build_network(draw_case(5))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert torch.equal(build_batch(draw_case(5))[0], build_batch(draw_case(5))[0])
    first, second = compute(PLAIN, Way("fused")).results, compute(PLAIN, Way("fused")).results
    assert all(distance(first[name], second[name]) == 0 for name in first)


def test_other_roundings_agree():
    """Where nothing magnifies them: the forms of a BatchNorm, and the gradient's noise, are no other computation."""
    for case in (PLAIN, replace(PLAIN, train=False), replace(PLAIN, mode="order 2", batch=4)):
        yardstick = Yardstick(case, compute, torch.float64, compute(case, Way()).results)
        yardstick.draw(8)
        assert yardstick.apart
        assert 0 < yardstick.noise() < 1e-10


def test_a_case_of_constant_maps_is_judged():
    """Nothing is left out of a case only because its images are zero."""
    case = replace(PLAIN, images="zero", operators=("conv_1x1",))

    def off(case, way):
        outcome = compute(case, way)
        if way.execution == "fused":
            outcome.results["weight classifier.bias"] = outcome.results["weight classifier.bias"] * (1 + 1e-4)
        return outcome

    assert judge(case).outcome == "agreed"
    assert judge(case, off).outcome == "finding"


def scaled(case, way):
    outcome = compute(case, way)
    if way.execution == "fused" and way.dtype is torch.float64:
        outcome.results["weight stem.0.weight"] = outcome.results["weight stem.0.weight"] * (1 + 1e-6)
    return outcome


def inexact(case, way):
    """Round the results of the fused execution in single precision to bfloat16."""
    outcome = compute(case, way)
    if way.execution == "fused" and way.dtype is torch.float32:
        outcome.results = {n: v.bfloat16() if v.is_floating_point() else v for n, v in outcome.results.items()}
    return outcome


def without_nan(case, way):
    outcome = compute(case, way)
    if way.execution == "reference":
        outcome.results["output logits"][0, 0] = torch.nan
    return outcome


def raising(case, way):
    outcome = compute(case, way)
    if way.execution == "batched":
        outcome.error = RuntimeError("no")
    return outcome


@pytest.mark.parametrize(
    ("run", "kind", "way"),
    [
        (scaled, "different weight", "fused"),
        (inexact, "float32: different kept_buffer", "fused, float32"),
        (without_nan, "different output", "fused"),
        (raising, "raises", "batched"),
    ],
)
def test_a_wrong_execution_is_found(run, kind, way):
    verdict = judge(PLAIN, run)
    assert (verdict.outcome, verdict.kind, verdict.way) == ("finding", kind, way)


def test_a_missing_update_of_statistics_is_found(monkeypatch):
    monkeypatch.setattr(batchnorm_stats.BatchNormStats, "write", lambda self: None)
    verdict = judge(PLAIN)
    assert (verdict.kind, verdict.way) == ("different buffer", "fused")


def test_a_wrong_factor_in_a_kernel_is_found(monkeypatch):
    """The strengths of a node sum, off by a millionth."""
    if build.load_library()[0] is None:
        pytest.skip("no compiled kernels here")
    right = node_sum._run
    monkeypatch.setattr(node_sum, "_run", lambda terms, strengths, *rest: right(terms, strengths * (1 + 1e-6), *rest))
    verdict = judge(PLAIN)
    assert (verdict.outcome, verdict.way) == ("finding", "fused")


def test_without_kernels_none_is_called(monkeypatch):
    def refuse(*arguments):
        raise AssertionError

    monkeypatch.setattr(native, "_function", refuse)
    assert compute(PLAIN, Way("fused", kernels=False)).error is None
    if build.load_library()[0] is not None:
        assert isinstance(compute(PLAIN, Way("fused")).error, AssertionError)


def test_a_finding_is_made_small():
    case = replace(PLAIN, nodes=2, cells=2, operators=(Drawn("first", ("relu", "pw", "bn")), "none"))
    small, verdict = shrink(case, judge(case, scaled), run=scaled, tries=40)
    assert (small.nodes, small.cells, small.operators) == (1, 1, ("none",)) or len(small.operators) == 1
    assert verdict.outcome == "finding"


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("word", [*STRIDING, *STAYING, *WIDENING])
def test_layers_keep_the_contract(word, stride):
    x = torch.randn(2, 4, 5, 4)
    assert build_recipe((word,), 4, 4, stride)(x).shape == (2, 4, -(-5 // stride), -(-4 // stride))


@pytest.mark.parametrize("word", BROKEN)
def test_broken_operators_are_refused(word):
    broken = Drawn("first", (word,))
    assert not broken.keeps_contract()
    assert judge(replace(PLAIN, operators=("sep_conv_3x3", broken))).outcome == "invalid"


def test_a_contract_that_is_not_checked_is_found(monkeypatch):
    monkeypatch.setattr(supernet, "check_operator_contract", lambda *arguments, **options: None)
    verdict = judge(replace(PLAIN, operators=(Drawn("first", ("one_pixel",)),)))
    assert (verdict.outcome, verdict.kind) == ("finding", "contract unchecked")


@pytest.mark.parametrize("name", ALTERATIONS)
def test_alterations_alter(name):
    """The network computes something else, or its parameters are frozen."""
    case = replace(PLAIN, mode="backward", operators=("sep_conv_3x3",))
    altered = replace(case, alterations=((name, 0.9),))
    before, after = compute(case, Way()).results, compute(altered, Way()).results
    assert before.keys() != after.keys() or any(distance(after[key], value) > 0 for key, value in before.items())


ANSWERS = {
    "agrees": 'print(json.dumps({"seed": seed, "outcome": "agreed", "kind": "", "way": ""}), flush=True)',
    "dies": 'print(json.dumps({"begins": "fused"}), flush=True); os.kill(os.getpid(), 11)',
    "hangs": 'print(json.dumps({"begins": "batched"}), flush=True); time.sleep(60)',
}


@pytest.mark.parametrize(
    ("answer", "kind", "way"),
    [("agrees", "", ""), ("dies", "crash: SIGSEGV", "fused"), ("hangs", "time-out", "batched")],
)
def test_workers_are_guarded(answer, kind, way):
    code = f"import json, os, sys, time\nfor line in sys.stdin:\n    seed = int(line)\n    {ANSWERS[answer]}\n"
    worker = workers.Worker([sys.executable, "-c", code], seconds=1.0 if answer == "hangs" else 30.0)
    for seed in (3, 4):
        record = worker.judge(seed)
        assert (record["seed"], record["kind"], record["way"]) == (seed, kind, way)
    worker.close()


def test_the_campaign_resumes(tmp_path, monkeypatch, capsys):
    computed = []

    def judge_all(seeds, processes):
        computed.append(list(seeds))
        for seed in seeds:
            outcome = "finding" if seed == 1 and len(computed) == 1 else "agreed"
            yield {"seed": seed, "outcome": outcome, "kind": "different weight", "way": "fused", "detail": "apart 1"}

    monkeypatch.setattr(campaign, "judge_all", judge_all)
    file = tmp_path / "fuzz.jsonl"
    assert campaign.main(["--seeds", "0:3", "-o", str(file)]) == 1
    with file.open("a") as lines:
        lines.write('{"seed": 3, "outc')
    assert "FINDING different weight in fused: apart 1" in capsys.readouterr().err
    assert campaign.main(["--seeds", "0:5", "-o", str(file)]) == 1
    assert campaign.main(["--seeds", "0:5", "-o", str(file), "--retry"]) == 0
    assert computed == [[0, 1, 2], [3, 4], [1]]
    assert sorted(campaign.read_records(file)) == [0, 1, 2, 3, 4]
