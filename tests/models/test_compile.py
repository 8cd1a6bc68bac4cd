"""``torch.compile``: whole graphs, no warnings, few compilations, and the results of eager execution."""

import copy
import logging

import pytest
import torch
import torch._dynamo.testing

import nas

SPACE = nas.Space("five", ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3", "sandglass_3x3_t6"), 2, 1)


def supernet(execution, grad_checkpoint=False):
    return nas.Supernet(SPACE, 4, 1, execution=execution, grad_checkpoint=grad_checkpoint)


def network(execution, auxiliary=True):
    model = nas.Network(nas.load_genotype("darts_v2"), 2, 2, auxiliary=auxiliary)
    model.execution = execution
    return model


def passes(model, call, images):
    """Return outputs, gradients and buffers of two passes in training mode, and two in evaluation mode."""
    found = []
    for training in (True, True, False, False):
        model.train(training)
        model.zero_grad()
        outputs = call(images)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        sum(y.square().sum() for y in outputs).backward()
        found += [*outputs, *(p.grad for p in model.parameters() if p.grad is not None)]
    return [x.detach().clone() for x in (*found, *model.buffers())]


@pytest.mark.parametrize(
    ("build", "options"),
    [(supernet, ("fused",)), (supernet, ("fused", True)), (network, ("fused",)), (network, ("reference", False))],
    ids=["supernet", "supernet, grad_checkpoint", "network, fused", "network"],
)
def test_compiled_equals_eager(build, options, caplog):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    torch.manual_seed(0)
    eager = build(*options).double()
    model = copy.deepcopy(eager)
    counter = torch._dynamo.testing.CompileCounter()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with caplog.at_level(logging.WARNING):
        found = passes(model, torch.compile(model, backend=counter), images)
    assert counter.frame_count == 2, "one graph each for training and evaluation mode"
    assert not torch._dynamo.utils.counters["graph_break"]
    assert not [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    wanted = passes(eager, eager, images)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
