"""Bilevel gradients against exact double backward in float64, and against known bugs of other implementations."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import nas
from nas.search.bilevel import split_parameters, weight_gradients


class Smooth(nn.Module):
    """A small smooth mixture: softmax(alpha)-weighed tanh layers, so that all second derivatives exist."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64) / 2)

        self.first, self.second, self.last = normal(5, 6), normal(5, 6), normal(6, 3)
        self.alpha = normal(2, 2)

    def alphas(self) -> dict[str, nn.Parameter]:
        return {"normal": self.alpha}

    def forward(self, x: Tensor) -> Tensor:
        strengths = torch.softmax(self.alpha, dim=1)
        hidden = strengths[0, 0] * torch.tanh(x @ self.first) + strengths[0, 1] * torch.sin(x @ self.second)
        return strengths[1, 0] * (hidden @ self.last) + strengths[1, 1] * torch.tanh(hidden @ self.last)


def batch(seed: int, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(8, 5, generator=generator, dtype=torch.float64)
    return images, torch.randint(0, classes, (8,), generator=generator)


def exact(model: Smooth, train, valid, lr, momentum, weight_decay, buffers) -> Tensor:
    """d L_val(w'(alpha), alpha) / d alpha, differentiated through the weight step itself."""
    alpha = model.alpha.detach().requires_grad_()
    weights = {name: p.detach().requires_grad_() for name, p in model.named_parameters() if name != "alpha"}

    def loss(values, data):
        logits = torch.func.functional_call(model, values | {"alpha": alpha}, (data[0],))
        return F.cross_entropy(logits, data[1])

    gradients = torch.autograd.grad(loss(weights, train), list(weights.values()), create_graph=True)
    ahead = {
        name: w.detach() - lr * (momentum * buffers[name] + g + weight_decay * w.detach())
        for (name, w), g in zip(weights.items(), gradients, strict=True)
    }
    return torch.autograd.grad(loss(ahead, valid), alpha)[0]


BUFFERS = {name: torch.full_like(p, 0.1) for name, p in Smooth().named_parameters() if name != "alpha"}
STEP = {"lr": 0.1, "momentum": 0.9, "weight_decay": 3e-2}


def second_order(finite_difference: float, buffers=BUFFERS) -> Tensor:
    gradients = nas.architecture_gradients(
        Smooth(), batch(1), batch(2), **STEP, order=2, momentum_buffers=buffers, finite_difference=finite_difference
    )
    return gradients["normal"]


def error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


def test_second_order_is_the_double_backward():
    expected = exact(Smooth(), batch(1), batch(2), **STEP, buffers=BUFFERS)
    assert error(second_order(1e-4), expected) < 1e-6
    assert error(second_order(1e-2), expected) < 1e-3  # DARTS' own step


def test_the_error_falls_with_the_square_of_the_step():
    expected = exact(Smooth(), batch(1), batch(2), **STEP, buffers=BUFFERS)
    assert 50 < error(second_order(1e-1), expected) / error(second_order(1e-2), expected) < 200


def test_a_missing_bracket_would_be_noticed():
    """``(p - n) / 2 * R`` instead of ``(p - n) / (2 * R)`` leaves the first term alone: far beyond the tolerance."""
    expected = exact(Smooth(), batch(1), batch(2), **STEP, buffers=BUFFERS)
    values = {name: p.detach() for name, p in Smooth().named_parameters()}
    train = dict(zip(BUFFERS, _gradients(values, batch(1)), strict=True))
    ahead = {n: values[n] - 0.1 * (0.9 * BUFFERS[n] + train[n] + 3e-2 * values[n]) for n in BUFFERS}
    model = Smooth()
    model.load_state_dict(ahead | {"alpha": values["alpha"]})
    first_term = nas.architecture_gradients(model, batch(1), batch(2), **STEP, order=1)["normal"]
    assert error(first_term, expected) > 1e-3
    assert error(second_order(1e-4), first_term) > 1e-3


def _gradients(values, data):
    leaves = {name: v.requires_grad_() for name, v in values.items() if name != "alpha"}
    loss = F.cross_entropy(torch.func.functional_call(Smooth(), values | leaves, (data[0],)), data[1])
    return torch.autograd.grad(loss, list(leaves.values()))


def test_momentum_counts_and_no_buffers_are_zeros():
    zeros = {name: torch.zeros_like(buffer) for name, buffer in BUFFERS.items()}
    assert torch.equal(second_order(1e-3, zeros), second_order(1e-3, None))
    assert error(second_order(1e-3), second_order(1e-3, None)) > 1e-3


def test_first_order_is_plain_backward():
    model = Smooth()
    F.cross_entropy(model(batch(2)[0]), batch(2)[1]).backward()
    found = nas.architecture_gradients(Smooth(), batch(1), batch(2), **STEP, order=1)["normal"]
    torch.testing.assert_close(found, model.alpha.grad, rtol=1e-12, atol=0)


def supernet_and_batches(dtype=torch.float64):
    torch.manual_seed(0)
    supernet = nas.Supernet("tiny", 4, 4, execution="reference").to(dtype)
    batches = [(torch.randn(6, 3, 8, 8, dtype=dtype), torch.randint(0, 10, (6,))) for _ in range(2)]
    return supernet, batches


@pytest.mark.parametrize("order", [1, 2])
def test_nothing_is_changed_by_a_call(order):
    supernet, (train, valid) = supernet_and_batches()
    for parameter in supernet.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    gradients = nas.architecture_gradients(supernet, train, valid, 0.025, 0.9, 3e-4, order=order)
    assert set(gradients) == {"normal", "reduce"}
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert all(torch.equal(p.grad, torch.ones_like(p)) and p.requires_grad for p in supernet.parameters())


def test_the_second_order_of_a_supernet_is_the_double_backward():
    """On a supernet. The step is so small that no ReLU and no maximum switches within it."""
    supernet, (train, valid) = supernet_and_batches()
    parts = split_parameters(supernet)
    alphas = {name: a.clone().requires_grad_() for name, a in parts.alphas.items()}
    weights = {name: w.clone().requires_grad_() for name, w in parts.weights.items()}
    buffers = {name: b.clone() for name, b in supernet.named_buffers()}

    def loss(values, data):
        logits = torch.func.functional_call(
            supernet, values | alphas | {n: b.clone() for n, b in buffers.items()}, (data[0],)
        )
        return F.cross_entropy(logits, data[1])

    gradients = torch.autograd.grad(loss(weights, train), list(weights.values()), create_graph=True)
    ahead = {
        n: w.detach() - 0.1 * (g + 3e-4 * w.detach()) for (n, w), g in zip(weights.items(), gradients, strict=True)
    }
    expected = torch.autograd.grad(loss(ahead, valid), list(alphas.values()))
    found = nas.architecture_gradients(supernet, train, valid, 0.1, 0.9, 3e-4, order=2, finite_difference=1e-8)
    for kind, gradient in zip(("normal", "reduce"), expected, strict=True):
        assert error(found[kind], gradient) < 1e-5


def test_weight_gradients_are_plain_backward_and_leave_the_alphas():
    supernet, (train, _) = supernet_and_batches()
    twin, _ = supernet_and_batches()
    loss, logits, gradients = weight_gradients(supernet, train)
    expected = F.cross_entropy(twin(train[0]), train[1])
    expected.backward()
    assert torch.equal(loss, expected.detach())
    assert logits.shape == (6, 10)
    assert set(gradients) == set(supernet.named_weights())
    for name, weight in twin.named_weights().items():
        torch.testing.assert_close(gradients[name], weight.grad, rtol=1e-10, atol=1e-14)
    assert all(p.grad is None and p.requires_grad for p in supernet.parameters())
    assert torch.equal(supernet.stem[1].running_mean, twin.stem[1].running_mean)  # this pass does train BatchNorm


@pytest.mark.parametrize("order", [1, 2])
def test_only_the_gradients_that_are_returned_are_computed(order, monkeypatch):
    """Every autograd call asks for alphas alone or weights alone, unless the second order needs both."""
    supernet, (train, valid) = supernet_and_batches(torch.float32)
    asked = []
    original = torch.autograd.grad

    def spy(outputs, inputs, **options):
        asked.append({tuple(i.shape) == (5, 5) for i in inputs})
        assert len(outputs.grad_fn.next_functions) > 0
        return original(outputs, inputs, **options)

    monkeypatch.setattr(torch.autograd, "grad", spy)
    nas.architecture_gradients(supernet, train, valid, 0.1, order=order)
    weight_gradients(supernet, train)
    alphas, weights, both = {True}, {False}, {True, False}
    assert asked == ([alphas] if order == 1 else [weights, both, alphas, alphas]) + [weights]


def test_an_alpha_step_runs_no_weight_gradient_kernels():
    """Convolution backward computes the input's gradient only: counted by dispatched calls."""
    supernet, (train, valid) = supernet_and_batches(torch.float32)
    masks = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.convolution_backward.default:
                masks.append(tuple(args[-1]))
            return func(*args, **(kwargs or {}))

    with Watch():
        nas.architecture_gradients(supernet, train, valid, 0.1, order=1)
    assert masks
    assert {weight for _, weight, _ in masks} == {False}


@pytest.mark.parametrize("order", [0, 3])
def test_other_orders_are_refused(order):
    with pytest.raises(ValueError, match="must be 1 or 2"):
        nas.architecture_gradients(Smooth(), batch(1), batch(2), **STEP, order=order)


class Tied(Smooth):
    """A model with a tied weight and a buffer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.second = self.first
        self.register_buffer("calls", torch.zeros(1))
        self.inner = nn.Module()
        self.inner.register_buffer("calls", self.calls)

    def forward(self, x: Tensor) -> Tensor:
        self.inner.calls += 1
        return super().forward(x)


def test_weights_and_buffers_with_two_names():
    tied, alike = Tied(), Smooth()
    alike.second.data.copy_(alike.first.data)
    found, wanted = (weight_gradients(model, batch(1))[2] for model in (tied, alike))
    torch.testing.assert_close(found["first"], wanted["first"] + wanted["second"])
    assert tied.calls.item() == 1
    nas.architecture_gradients(tied, batch(1), batch(2), **STEP, order=2)
    assert tied.calls.item() == 1
