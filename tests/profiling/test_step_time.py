"""Profiles of a very small search."""

import copy
import json
import time
from dataclasses import replace

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import nas
from nas.core.profiler_spans import record_spans
from nas.data import AugmentSettings
from nas.graph.space import Space
from nas.kernels import build
from nas.models.supernet import EXECUTIONS
from nas.profiling import step_flops
from nas.profiling import step_time as module
from nas.profiling.attribution import BACKWARD
from nas.profiling.step_time import profile_search
from nas.search.bilevel import architecture_gradients, weight_gradients
from tests.helpers.search_settings import SETTINGS

PARTS = {"stem", "preprocessing", "classifier and loss", "concatenation", "optimizer", "data", "other"}
OPERATORS = ("none", "skip_connect", "max_pool_3x3", "avg_pool_3x3", "dil_conv_3x3", "sandglass_3x3_t6")
UNATTRIBUTED = {"SoftmaxBackward0", "torch::autograd::AccumulateGrad"}
SUMS = {
    "reference": "node sums",
    "fused": "shared: node sums, last BatchNorms",
    "batched": "shared: node sums, batched edges",
}


@pytest.fixture
def run_profile(digits, monkeypatch):
    monkeypatch.setitem(step_flops.SIDES, "cpu", 64)

    def run(**changes):
        options = {"augment": AugmentSettings(pad=1, flip=False), "device": torch.device("cpu"), "steps": 2}
        given = {key: changes.pop(key) for key in ("trace", "steps") if key in changes}
        return profile_search(nas.load_space("tiny"), digits, replace(SETTINGS, **changes), **{**options, **given})

    return run


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_every_part_of_a_step_has_a_row(execution, run_profile, tmp_path):
    found = run_profile(execution=execution, trace=tmp_path / "trace.json")
    rows = {row.name: row for row in found.rows}
    assert sum(row.seconds for row in found.rows) == pytest.approx(found.profiled, rel=1e-9)
    assert all(row.seconds >= 0 for row in found.rows)
    assert rows.keys() >= {*nas.load_space("tiny").operators, *PARTS, SUMS[execution]}
    compiled = build.load_library()[0] is not None  # kernels that include the ReLU
    assert ("shared: ReLU" in rows) == (execution == "fused" and not compiled)
    for name in ("sep_conv_3x3", "sandglass_3x3_t6", "max_pool_3x3", "preprocessing", "stem", SUMS[execution]):
        assert rows[name].forward > 0, name
        assert rows[name].backward > 0, name
    assert len(found.steps) == 2
    assert (found.batch_size, found.peak > 0) == (16, True)
    assert found.speed == 2 * found.cost.both * 16 / found.step
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {event["name"] for event in events} >= {"alpha step", "weight step", "sep_conv_3x3", "optimizer"}


def test_a_slow_loader_shows_in_the_data_row(run_profile, monkeypatch):
    def slow(batches, position):
        for batch in endless(batches, position):
            time.sleep(0.2)
            yield batch

    endless = module.endless
    monkeypatch.setattr(module, "endless", slow)
    found = run_profile(steps=1)
    (data,) = (row for row in found.rows if row.name == "data")
    assert data.seconds >= 0.4  # two batches a step
    assert found.data_share >= 0.4 / found.step


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_profiling_changes_no_gradient(execution):
    torch.manual_seed(0)
    supernet = nas.Supernet("tiny", 4, 3, execution=execution)
    batches = [(torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,))) for _ in range(2)]

    def gradients():
        model = copy.deepcopy(supernet)
        alphas = architecture_gradients(model, *batches, lr=0.025, order=2)
        return {**alphas, **weight_gradients(model, batches[0])[2]}

    plain = gradients()
    with record_spans(), profile(activities=[ProfilerActivity.CPU], acc_events=True):
        profiled = gradients()
    assert plain.keys() == profiled.keys()
    assert all(torch.equal(plain[name], profiled[name]) for name in plain)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_every_node_of_the_backward_pass_belongs_to_a_span(execution):
    """Including those of the compiled kernels; only strengths and leaves, which compute nothing, belong to none."""
    supernet = nas.Supernet(Space("of this test", OPERATORS, 2, 2), 8, 3, execution=execution)
    batch = torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,))
    with record_spans() as spans, profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        architecture_gradients(supernet, batch, batch, lr=0.0)
        weight_gradients(supernet, batch)
    makers = {}
    for event in profiler.events():
        if event.name.startswith(BACKWARD):
            makers.setdefault(event.name.split()[-1], set()).add(spans.maker(event.sequence_nr))
    assert {name for name, found in makers.items() if None in found} <= UNATTRIBUTED
    if execution == "fused" and build.load_library()[0] is not None:
        assert makers["_NodeSumBackward"] >= {SUMS["fused"], "preprocessing"}
        assert makers["_MaxPoolBackward"] == {"max_pool_3x3"}
        assert makers["_AveragePoolBackward"] == {"avg_pool_3x3"}
        entered = {event.name for event in profiler.events() if _is_within(event, BACKWARD + ": _NodeSumBackward")}
        assert entered >= {"dil_conv_3x3", "sandglass_3x3_t6", "preprocessing"}


def _is_within(event, name):
    """Return True if the event is, or is nested in, an event of that name."""
    while event is not None and event.name != name:
        event = event.cpu_parent
    return event is not None
