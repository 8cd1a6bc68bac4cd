"""The supernet in less usual contexts: higher derivatives, function transforms, threads, copies, other dtypes."""

import copy
import pickle
import threading
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, jvp, vmap

import nas
from nas.search.bilevel import architecture_gradients, weight_gradients
from tests.helpers.executions import assert_equals_reference, images, small_supernet, step

NAMES = ("sep_conv_3x3", "max_pool_3x3", "skip_connect")
EXECUTIONS = ["fused", "batched", "reference"]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("loss", [lambda logits: logits.sum(), lambda logits: logits.square().sum()])
def test_a_second_derivative_is_right_or_refused(loss, train):
    results = {}
    for execution in ("reference", "batched"):
        net = small_supernet(NAMES).train(train)
        net.execution = execution
        parameters = list(net.parameters())
        first = torch.autograd.grad(loss(net(images()[0])), parameters, create_graph=True, allow_unused=True)
        total = sum(g.square().sum() for g in first if g is not None)
        results[execution] = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
    for one, other in zip(*results.values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)
    net.execution = "fused"
    with pytest.raises(RuntimeError, match="execution=fused has first derivatives only"):
        torch.autograd.grad(loss(net(images()[0])), [net.alpha_normal], create_graph=True)
    loss(net(images()[0])).backward()  # the supernet is as usable as before


def test_a_networks_second_derivative_is_refused():
    network = nas.create_model("darts_v2", channels=2, cells=3, auxiliary=True)
    network.execution = "fused"
    for y in (*network.train()(torch.randn(2, 3, 32, 32)), network.forward_features(torch.randn(2, 3, 32, 32))):
        with pytest.raises(RuntimeError, match="first derivatives only"):
            torch.autograd.grad(y.sum(), list(network.parameters()), create_graph=True, allow_unused=True)


def loss_of_alphas(net, batch):
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}

    def loss(alpha):
        return F.cross_entropy(functional_call(net, {**tensors, "alpha_normal": alpha}, (batch[0],)), batch[1])

    return loss


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_transforms_of_torch_func(execution):
    """In evaluation; in training torch's BatchNorm itself refuses them."""
    net = small_supernet(NAMES).eval()
    net.execution = execution
    loss, alpha = loss_of_alphas(net, images()), net.alpha_normal.detach()
    gradient = torch.autograd.grad(F.cross_entropy(net(images()[0]), images()[1]), [net.alpha_normal])[0]
    torch.testing.assert_close(grad(loss)(alpha), gradient, rtol=1e-9, atol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own forward-mode rules use torch.jit
        tangent = jvp(loss, (alpha,), (torch.ones_like(alpha),))[1]
    torch.testing.assert_close(tangent, gradient.sum(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(vmap(loss)(torch.stack([alpha, alpha])), loss(alpha).expand(2), rtol=1e-9, atol=1e-12)
    net.train()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(RuntimeError, match="in-place operation"):
        grad(loss)(alpha)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    step(net, images())


@pytest.mark.parametrize("grad_checkpoint", [False, True])
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_threads_take_turns(execution, grad_checkpoint):
    net = small_supernet(NAMES, grad_checkpoint=grad_checkpoint)
    net.execution = execution
    parameters, values = dict(net.named_parameters()), copy.deepcopy(net.state_dict())
    batch = images()
    wanted = architecture_gradients(net, batch, batch, 0.025, order=2)
    wanted_logits = net.eval()(batch[0])
    net.train()
    errors = []

    def work():
        try:
            for _ in range(3):
                found = architecture_gradients(net, batch, batch, 0.025, order=2)
                for kind, value in wanted.items():
                    torch.testing.assert_close(found[kind], value)
                weight_gradients(net, batch)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert all(parameter is parameters[name] for name, parameter in net.named_parameters())
    assert int(net.stem[1].num_batches_tracked) == int(values["stem.1.num_batches_tracked"]) + 9
    net.load_state_dict(values)
    torch.testing.assert_close(net.eval()(batch[0]), wanted_logits)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_copies_between_passes(execution):
    net = small_supernet(NAMES)
    net.execution = execution
    step(net, images())
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        expected = step(copy.deepcopy(net), images())
        for name, value in step(other, images()).items():
            assert torch.equal(value, expected[name])


@pytest.mark.filterwarnings("ignore:Anomaly Detection:UserWarning")
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_anomaly_mode(execution):
    net = small_supernet(NAMES)
    net.execution = execution
    expected = step(copy.deepcopy(net), images())
    with torch.autograd.detect_anomaly():
        for name, value in step(net, images()).items():
            assert torch.equal(value, expected[name])


@pytest.mark.parametrize("execution", ["fused", "batched"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.15), (torch.float16, 0.02), (torch.float32, 1e-4)])
def test_other_dtypes(dtype, tolerance, execution):
    net = small_supernet(NAMES, cells=2).to(dtype)
    batch = images()[0].to(dtype)
    logits = {}
    for net.execution in ("reference", execution):
        logits[net.execution] = net(batch)
    assert logits[execution].dtype is dtype
    torch.testing.assert_close(logits[execution], logits["reference"], rtol=tolerance, atol=tolerance)


def test_a_pass_with_fake_tensors_leaves_no_trace(fast_execution):
    net = small_supernet(("sep_conv_3x3", "avg_pool_3x3"), nodes=3)
    with FakeTensorMode():
        fake = nas.Supernet(net.space, 3, 3, execution="batched")
        assert fake(torch.randn(3, 3, 6, 5)).shape == (3, 10)
    assert_equals_reference(net, fast_execution)


@pytest.mark.parametrize("execution", ["batched", "reference"])
def test_torch_compile_traces_it_whole(execution):
    torch._dynamo.reset()
    net = small_supernet(NAMES, nodes=1, cells=1).eval()
    net.execution = execution
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images()[0]), net(images()[0]))


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_recomputation_sees_the_modes_of_its_forward_pass(execution):
    gradients = []
    for checkpoint in (False, True):
        net = small_supernet(NAMES, grad_checkpoint=checkpoint)
        net.execution = execution
        loss = F.cross_entropy(net(images()[0]), images()[1])
        net.eval()
        loss.backward()
        assert not any(module.training for module in net.modules())
        gradients.append([parameter.grad for parameter in net.parameters() if parameter.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_statistics_of_modules_called_as_they_are_are_discarded(fast_execution):
    """With hooks the preprocessing is called as it is; the alphas' gradients leave its statistics alone."""
    net = small_supernet(NAMES)
    net.execution = fast_execution
    net.cells[0].preprocess[0][0].register_forward_hook(lambda module, inputs, y: 2 * y)
    before = copy.deepcopy(net.state_dict())
    architecture_gradients(net, images(), images(), 0.025, order=2)
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        architecture_gradients(net, images(), images(), 0.025)
    finally:
        handle.remove()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
