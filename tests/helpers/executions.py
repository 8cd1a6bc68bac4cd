"""Small supernets of operators made for a test, run by a fast execution and by the reference, in float64."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import nas
from nas.graph.space import Space
from nas.kernels import build
from nas.ops.registry import operators, register_operator


@pytest.fixture(params=["fused, compiled", "fused, torch", "batched"])
def fast_execution(request, monkeypatch):
    """The fast executions; the fused one with compiled kernels and without."""
    name, _, way = request.param.partition(", ")
    if way == "torch":
        monkeypatch.setattr(build, "load_library", lambda: (None, "off in this test"))
    elif way == "compiled" and build.load_library()[0] is None:
        pytest.skip(f"no compiled kernels here: {build.load_library()[1]}")
    return name


@pytest.fixture
def register(monkeypatch):
    """Register an operator until the end of the test."""
    monkeypatch.setattr(operators, "_entries", dict(operators._entries))
    monkeypatch.setattr(operators, "_families", list(operators._families))
    return register_operator


def small_supernet(names, channels=3, cells=3, nodes=2, **options):
    """A supernet of the operators in float64, with alphas and running statistics that differ by edge."""
    torch.manual_seed(0)
    space = Space("own", tuple(names), intermediate_nodes=nodes)
    net = nas.Supernet(space, channels, cells, execution="reference", **options).double()
    for alpha in net.alphas().values():
        nn.init.normal_(alpha)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return net


def images(height=6, width=5, number=3):
    """A batch of images and labels."""
    torch.manual_seed(1)
    return torch.randn(number, 3, height, width, dtype=torch.float64), torch.randint(0, 10, (number,))


def step(net, batch):
    """Logits, all gradients and the state after one forward and backward pass."""
    torch.manual_seed(2)
    logits = net(batch[0])
    logits = logits[0] if isinstance(logits, tuple) else logits
    names, parameters = zip(*[(n, p) for n, p in net.named_parameters() if p.requires_grad], strict=True)
    gradients = torch.autograd.grad(F.cross_entropy(logits, batch[1]), parameters, materialize_grads=True)
    return {"logits": logits.detach(), **dict(zip(names, gradients, strict=True))}


def assert_equals_reference(net, execution, batch=None):
    """Compare outputs, gradients and the state that a pass leaves; ``net`` itself stays as it is."""
    batch = batch or images()
    reference, fast = copy.deepcopy(net), copy.deepcopy(net)
    reference.execution, fast.execution = "reference", execution
    wanted, given = (step(model, batch) | model.state_dict() for model in (reference, fast))
    for name, value in wanted.items():
        text = f"{name}: {{}}".format
        torch.testing.assert_close(given[name], value, rtol=1e-9, atol=1e-10, msg=text)
    return wanted
