"""Gradients replayed as graphs: what a replay must see anew, and what happens where nothing can be captured."""

import copy
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from engine_settings import SETTINGS
from torch.utils._python_dispatch import TorchDispatchMode

import nas
from nas.core.checkpoint import load_checkpoint
from nas.engine import graphs
from nas.engine.bilevel import architecture_gradients, weight_gradients
from nas.engine.search import CHECKPOINT
from nas.engine.search_state import start_state
from nas.engine.steps import alpha_step, weight_step


def tensors(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [x for part in (outputs.values() if isinstance(outputs, dict) else outputs) for x in tensors(part)]


@pytest.fixture
def captures(monkeypatch):
    """Graphs as a CPU can have them: a replay runs once more what was captured, into the memory of the first time.

    It knows what a real one knows: the function as it was then, the inputs' memory, and the model's. The list holds
    what was captured, in order.
    """
    found = []

    def record(function, inputs):
        found.append(function)
        outputs = function(*inputs)
        for x in tensors(outputs):
            x.fill_(float("nan"))  # a capture computes nothing

        def replay():
            for x, y in zip(tensors(outputs), tensors(function(*inputs)), strict=True):
                x.copy_(y)

        return replay, outputs

    monkeypatch.setattr(graphs, "record", record)
    return found


@pytest.fixture
def both(run_search, tmp_path):
    """Whole searches with and without graphs: their checkpoints."""

    def run(**changes):
        for name, switch in (("with", True), ("without", False)):
            run_search(tmp_path / name, cuda_graphs=switch, **changes)
        return (load_checkpoint(tmp_path / name / CHECKPOINT) for name in ("with", "without"))

    return run


def assert_same(found, wanted):
    assert all(torch.equal(found["model"][name], value) for name, value in wanted["model"].items())
    assert found["tally"] == wanted["tally"]
    assert (found["valid_accuracy"], found["epoch"]) == (wanted["valid_accuracy"], wanted["epoch"])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("execution", ["batched", "fused", "reference"])
def test_a_search_is_the_same_to_the_bit(captures, both, order, execution):
    assert_same(*both(order=order, execution=execution))
    # One for the weights; of the alphas one in all, or one in front of the first momentum, then one per learning rate.
    assert len(captures) == (2 if order == 1 else 1 + 1 + SETTINGS.epochs)


def test_a_checkpoint_that_is_loaded_replaces_the_momentum(captures):
    settings = replace(SETTINGS, order=2, cuda_graphs=True)
    batches = [(torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,))) for _ in range(2)]

    def step(state):
        alpha_step(state, settings, *batches, 0.025)
        weight_step(state, settings, batches[0], 0.025)

    state = start_state(nas.load_space("darts"), settings, 10, torch.device("cpu"))
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
    assert lines == ["warning: cuda_graphs=true: goes on without them, the device is cpu, which has no CUDA graphs"]


def test_a_capture_that_fails_half_way_leaves_the_buffers_alone(monkeypatch):
    layer = torch.nn.BatchNorm2d(3)

    def record(function, inputs):
        function(*inputs)
        raise RuntimeError("operation not permitted when stream is capturing\nsecond line")

    monkeypatch.setattr(graphs, "record", record)
    call, x = graphs.Graphs(layer), torch.randn(4, 3, 2, 2)
    call("norm", None, layer, x)
    call("norm", None, layer, x)
    assert layer.num_batches_tracked.item() == 2
    assert call.failed == "operation not permitted when stream is capturing"


def test_new_shapes_are_captured_anew(captures):
    call = graphs.Graphs(torch.nn.Identity())
    for images in (4, 4, 2, 2):
        x = torch.randn(images, 3)
        assert torch.equal(call("double", None, lambda y: 2 * y, x), 2 * x)
    assert len(captures) == 2


class OnTheDevice(TorchDispatchMode):
    """Fails where a kernel meets tensors of the host beside those of the device, or brings a value to the host."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        flat = torch.utils._pytree.tree_leaves((args, kwargs, result))
        assert {x.device.type for x in flat if isinstance(x, torch.Tensor)} <= {"meta"}, function
        assert not function._schema.name.endswith(("_local_scalar_dense", "nonzero", "item")), function
        return result


@pytest.mark.parametrize("order", [1, 2])
def test_no_gradient_waits_for_the_device(order, monkeypatch):
    """With tensors that have no values, as those of a device that nobody waits for."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    with torch.device("meta"):
        supernet = nas.Supernet("darts+sandglass+ir", 4, 3).train()
        batch = torch.randn(4, 3, 16, 16), torch.zeros(4, dtype=torch.long)
    with OnTheDevice():
        architecture_gradients(supernet, batch, batch, 0.025, order=order)
        weight_gradients(supernet, batch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")
@pytest.mark.parametrize("order", [1, 2])
def test_a_gpu_computes_the_same(order):
    settings = replace(SETTINGS, order=order)
    device = torch.device("cuda")
    batches = [(torch.randn(4, 3, 16, 16, device=device), torch.randint(0, 10, (4,), device=device)) for _ in range(2)]
    weights = []
    for switch in (False, True):
        state = start_state(nas.load_space("darts"), replace(settings, cuda_graphs=switch), 10, device)
        state.supernet.double().train()
        for _ in range(4):
            alpha_step(state, settings, *((x.double(), y) for x, y in batches), 0.025)
            weight_step(state, settings, (batches[0][0].double(), batches[0][1]), 0.025)
        assert state.graphs is None or not state.graphs.failed
        weights.append(state.supernet.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-8, atol=1e-8)
