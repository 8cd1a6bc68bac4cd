"""CUDA graphs: what a replay must read again, and the fallback if nothing can be captured."""

import copy
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import nas
from nas.core.run_files import CHECKPOINT
from nas.costs.expected import ObjectiveSettings, size_objective
from nas.engine import cuda_graphs
from nas.engine.nonfinite import NotFiniteError
from nas.search import steps
from nas.search.bilevel import architecture_gradients, weight_gradients
from nas.search.state import init_search_state
from nas.search.steps import alpha_step, weight_step
from nas.storage.checkpoint import load_checkpoint
from tests.helpers.search_settings import SETTINGS


def tensors(outputs):
    if outputs is None:
        return []
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [x for part in (outputs.values() if isinstance(outputs, dict) else outputs) for x in tensors(part)]


def spoil(outputs):
    for x in tensors(outputs):
        x.fill_(float("nan") if x.is_floating_point() else False)


@pytest.fixture
def captures(monkeypatch):
    """Emulate graphs on the CPU: a replay runs the captured function again, into the memory of the first run.

    It knows what a real one knows: the function as it was then, the inputs' memory, and the model's. All of one pool
    use the same memory by turns. The list holds the pool of each that was captured, in order.
    """
    pools, given = [], []

    def record(function, inputs, pool):
        pools.append(pool)
        outputs = function(*inputs)
        given.append(outputs)
        spoil(outputs)  # a capture computes nothing

        def replay():
            found = function(*inputs)
            spoil(given)
            for x, y in zip(tensors(outputs), tensors(found), strict=True):
                x.copy_(y)

        return SimpleNamespace(replay=replay, pool=lambda: "of the first"), outputs

    monkeypatch.setattr(cuda_graphs, "capture", record)
    return pools


@pytest.fixture
def both(run_search, tmp_path):
    """Checkpoints of whole searches with and without graphs."""

    def run(**changes):
        for name, switch in (("with", True), ("without", False)):
            run_search(tmp_path / name, cuda_graphs=switch, **changes)
        return (load_checkpoint(tmp_path / name / CHECKPOINT) for name in ("with", "without"))

    return run


def assert_same(found, wanted):
    assert all(torch.equal(found["model"][name], value) for name, value in wanted["model"].items())
    assert found["metrics"] == wanted["metrics"]
    assert (found["valid_accuracy"], found["epoch"]) == (wanted["valid_accuracy"], wanted["epoch"])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("execution", ["batched", "fused", "reference"])
def test_a_search_is_the_same_to_the_bit(captures, both, order, execution):
    assert_same(*both(order=order, execution=execution))
    assert captures == [None, "of the first"]  # whatever the learning rate is


def test_a_checkpoint_that_is_loaded_replaces_the_momentum(captures):
    settings = replace(SETTINGS, order=2, cuda_graphs=True)
    batches = [(torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,))) for _ in range(2)]

    def step(state):
        alpha_step(state, settings, *batches, 0.025)
        weight_step(state, settings, batches[0], 0.025)

    state = init_search_state(nas.load_space("darts"), settings, 10, torch.device("cpu"))
    state.supernet.train()
    for _ in range(3):
        step(state)
    saved = copy.deepcopy(state.to_dict())
    step(state)
    wanted = copy.deepcopy(state.supernet.state_dict())
    state.load_dict(saved, "here")
    step(state)
    assert all(torch.equal(value, wanted[name]) for name, value in state.supernet.state_dict().items())


def test_where_nothing_can_be_captured_the_search_goes_on(both, capsys):
    assert_same(*both())
    lines = [line for line in capsys.readouterr().err.splitlines() if "cuda_graphs" in line]
    assert lines == ["warning: cuda_graphs=true: continuing without them, the device is cpu, which has no CUDA graphs"]


def test_a_capture_that_fails_half_way_leaves_all_as_it_was(monkeypatch):
    """Eager steps after a failed capture equal those of a search without graphs."""

    def record(function, inputs, pool):
        function(*inputs)
        raise RuntimeError("operation not permitted when stream is capturing\nsecond line")

    monkeypatch.setattr(cuda_graphs, "capture", record)
    batches = [(torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,))) for _ in range(2)]
    found = []
    for switch in (True, False):
        settings = replace(SETTINGS, order=2, cuda_graphs=switch)
        state = init_search_state(nas.load_space("darts"), settings, 10, torch.device("cpu"))
        for lr in (0.025, 0.01):
            alpha_step(state, settings, *batches, lr)
            weight_step(state, settings, batches[0], lr)
        assert not switch or state.graphs.failed == "operation not permitted when stream is capturing"
        found.append(state.moved())
    assert all(torch.equal(x, y) for x, y in zip(*found, strict=True))


def test_new_shapes_are_captured_anew(captures):
    call = cuda_graphs.CudaGraphs(list)
    for images in (4, 4, 2, 2):
        x = torch.randn(images, 3)
        assert torch.equal(call("double", lambda y: 2 * y, x), 2 * x)
    assert len(captures) == 2


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_a_step_that_is_skipped_changes_nothing(captures, cuda_graphs):
    """Tensors keep their memory, so the steps after a skipped one are the same with and without graphs."""
    settings = replace(SETTINGS, cuda_graphs=cuda_graphs)
    good = torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,))
    bad = torch.full_like(good[0], float("nan")), good[1]
    found = []
    for batches in ([good, bad, good], [good, good]):
        state = init_search_state(nas.load_space("darts"), settings, 10, torch.device("cpu"))
        for batch in batches:
            restore = state.snapshot()
            try:
                alpha_step(state, settings, batch, batch, 0.025)
                weight_step(state, settings, batch, 0.025)
            except NotFiniteError:
                restore()
                assert batch is bad
        found.append(state.moved())
    assert all(torch.equal(x, y) for x, y in zip(*found, strict=True))


class OnTheDevice(TorchDispatchMode):
    """Fail if a kernel mixes host and device tensors, or brings a value to the host."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        flat = torch.utils._pytree.tree_leaves((args, kwargs, result))
        assert {x.device.type for x in flat if isinstance(x, torch.Tensor)} <= {"meta"}, function
        assert not function._schema.name.endswith(("_local_scalar_dense", "nonzero", "item")), function
        return result


@pytest.mark.parametrize("order", [1, 2])
def test_no_gradient_waits_for_the_device(order, monkeypatch):
    """With meta tensors, which have no values to wait for."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    with torch.device("meta"):
        supernet = nas.Supernet("darts+sandglass+ir", 4, 3).train()
        batch = torch.randn(4, 3, 16, 16), torch.zeros(4, dtype=torch.long)
    with OnTheDevice():
        architecture_gradients(supernet, batch, batch, 0.025, order=order)
        weight_gradients(supernet, batch)


class NoWait(TorchDispatchMode):
    """Fail if a value would move between host and device on a GPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        assert name not in ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "lift_fresh"), name
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("params", [0.0, 0.1])
def test_no_step_waits_for_the_device(order, params, monkeypatch):
    """The one wait is at its end, for the check that all is finite."""
    settings = replace(SETTINGS, execution="batched", order=order, objective=ObjectiveSettings(params=params))
    space, device = nas.load_space("darts+sandglass+ir"), torch.device("cpu")
    state = init_search_state(space, settings, 10, device)
    state.objective = size_objective(settings.objective, space, 10, (3, 16, 16), device)
    batch = torch.randn(4, 3, 16, 16), torch.randint(0, 10, (4,))

    def step():
        alpha_step(state, settings, batch, batch, 0.025)
        state.metrics.add(*weight_step(state, settings, batch, 0.025), batch[1])

    step()  # sends some indices to the device, once
    with NoWait(), pytest.raises(AssertionError, match="_local_scalar_dense"):
        step()
    monkeypatch.setattr(steps, "raise_if_nonfinite", lambda *_: None)
    with NoWait():
        step()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")
@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("order", [1, 2])
def test_a_gpu_computes_the_same(order):
    settings = replace(SETTINGS, order=order)
    device = torch.device("cuda")
    batches = [(torch.randn(4, 3, 16, 16, device=device), torch.randint(0, 10, (4,), device=device)) for _ in range(2)]
    weights = []
    for switch in (False, True):
        state = init_search_state(nas.load_space("darts"), replace(settings, cuda_graphs=switch), 10, device)
        for _ in range(4):
            alpha_step(state, settings, *batches, 0.025)
            weight_step(state, settings, batches[0], 0.025)
        assert state.graphs is None or not state.graphs.failed
        weights.append(state.supernet.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-8, atol=1e-8)
