"""The fast execution against the reference, in float64: outputs, gradients, BatchNorm's statistics, whole searches."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

import nas
from nas.core.errors import InputError
from nas.graph.space_file import list_spaces
from nas.ops.registry import operators, register_operator
from nas.ops.skip import GaussianNoise
from nas.search.bilevel import architecture_gradients, weight_gradients
from nas.search.state import init_search_state
from nas.search.steps import alpha_step, weight_step
from tests.helpers.search_settings import SETTINGS

SPACES = [space.name for space in list_spaces()] + ["darts+ir", "darts+sandglass"]


@pytest.fixture
def execution(fast_execution):
    """The fast executions, the fused one with both ways in which its kernels are computed."""
    return fast_execution


def pair(space, channels=4, cells=3, train=True, execution="fused"):
    torch.manual_seed(0)
    reference = nas.Supernet(space, channels, cells, execution="reference").double().train(train)
    for alpha in reference.alphas().values():
        nn.init.normal_(alpha)
    fused = copy.deepcopy(reference)
    fused.execution = execution
    return reference, fused


@pytest.fixture
def noise(monkeypatch):
    """Noise that is the same in any order of draws: executions draw for the edges in their own."""

    def forward(self, x):
        like = x[:, :, :: self.stride, :: self.stride]
        return torch.linspace(-2, 2, like.numel()).to(x).view(like.shape)

    monkeypatch.setattr(GaussianNoise, "forward", forward)


def batch(height=8, width=8, images=4):
    return torch.randn(images, 3, height, width, dtype=torch.float64), torch.randint(0, 10, (images,))


def assert_equal(found, wanted):
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("space", SPACES)
def test_everything_equals_the_reference(space, train, execution, noise):
    reference, fused = pair(space, channels=6 if "sandglass" in space else 4, train=train, execution=execution)
    one, other = batch(9, 7), batch(9, 7)
    alphas = [architecture_gradients(net, one, other, 0.025) for net in (reference, fused)]
    assert_equal(alphas[1], alphas[0])
    (_, logits, weights), (_, fused_logits, fused_weights) = (weight_gradients(net, one) for net in (reference, fused))
    assert_equal({"logits": fused_logits, **fused_weights}, {"logits": logits, **weights})
    assert_equal(fused.state_dict(), reference.state_dict())


@pytest.mark.parametrize("space", ["darts", "darts+sandglass"])
def test_second_order_equals_the_reference(space, execution):
    reference, fused = pair(space, channels=6, execution=execution)
    one, other = batch(), batch()
    before = copy.deepcopy(fused.state_dict())
    wanted, found = (architecture_gradients(net, one, other, 0.025, order=2) for net in (reference, fused))
    assert_equal(found, wanted)
    assert all(torch.equal(value, before[name]) for name, value in fused.state_dict().items())


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 5, 5), (16, 4, 6), (33, 8, 4), (4, 3, 11)])
def test_any_width_and_size(channels, height, width, execution):
    reference, fused = pair("darts+sandglass", channels, execution=execution)
    one = batch(height, width, images=3)
    wanted, found = (weight_gradients(net, one)[2] for net in (reference, fused))
    assert_equal(found, wanted)


class Wave(nn.Module):
    """An operator that is no chain of layers, with a BatchNorm of its own inside."""

    def __init__(self, channels, stride):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, 1, bias=True)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.norm(self.conv(x.sin())).cos()


@pytest.mark.parametrize("execution", ["fused", "batched"])
def test_a_users_operator_of_any_kind(tmp_path, execution):
    if "wave_3x3" not in operators:
        register_operator("wave_3x3")(lambda channels, stride, affine: Wave(channels, stride))
    file = tmp_path / "wave.yaml"
    file.write_text("description: waves\noperators: [none, wave_3x3, skip_connect]\n")
    reference, fused = pair(f"darts+{file}", execution=execution)
    one = batch()
    wanted, found = (weight_gradients(net, one)[2] for net in (reference, fused))
    assert_equal(found, wanted)
    assert_equal(fused.state_dict(), reference.state_dict())


@pytest.mark.parametrize("way", ["batched", "fused"])
@pytest.mark.parametrize("form", [None, "of its own"])
def test_an_alpha_step_leaves_all_statistics(tmp_path, way, form):
    """Also those of a chain that no fast execution knows wholly."""
    name = f"smooth_{way}_{form is None}"
    together = (
        None
        if form is None
        else lambda modules, x: torch.cat([m(y) for m, y in zip(modules, x.chunk(len(modules), 1), strict=True)], 1)
    )

    @register_operator(name, batched=together)
    def smooth(channels, stride, affine):
        norm = nn.BatchNorm2d(channels, affine=affine)
        return nn.Sequential(nn.GELU(), nn.Conv2d(channels, channels, 3, stride, 1, bias=False), norm)

    file = tmp_path / "smooth.yaml"
    file.write_text(f"description: smooth\noperators: [none, {name}, skip_connect]\n")
    reference, fast = pair(str(file), execution=way)
    one, other = batch(), batch()
    before = copy.deepcopy(fast.state_dict())
    wanted, found = (architecture_gradients(net, one, other, 0.025, order=2) for net in (reference, fast))
    assert_equal(found, wanted)
    assert all(torch.equal(value, before[key]) for key, value in fast.state_dict().items())
    for net in (reference, fast):
        weight_gradients(net, one)
    assert_equal(fast.state_dict(), reference.state_dict())


def shifts_together(modules, x):
    shifts = torch.cat([module.shift.expand(x.shape[1] // len(modules)) for module in modules])
    return (x + shifts[:, None, None])[:, :, :: modules[0].stride, :: modules[0].stride]


class Shift(nn.Module):
    """Adds a weight."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride
        self.shift = nn.Parameter(torch.randn(1))

    def forward(self, x):
        return (x + self.shift)[:, :, :: self.stride, :: self.stride]


@pytest.mark.parametrize("norm", [False, True])
def test_a_batched_form_of_the_users_own(tmp_path, norm):
    name, calls = f"shift_{norm}", []

    def together(modules, x):
        calls.append(len(modules))
        return shifts_together(modules, x)

    register_operator(name, batchnorm_in_search=norm, batched=together)(lambda channels, stride, affine: Shift(stride))
    file = tmp_path / "shift.yaml"
    file.write_text(f"description: shifts\noperators: [none, {name}, max_pool_3x3]\n")
    reference, batched = pair(str(file), execution="batched")
    one = batch()
    wanted, found = (weight_gradients(net, one)[2] for net in (reference, batched))
    assert_equal(found, wanted)
    assert_equal(batched.state_dict(), reference.state_dict())
    assert calls == 3 * [8, 3, 2, 1]


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize(("order", "other", "steps"), [(1, "fused", 50), (1, "batched", 50), (2, "changing", 8)])
def test_a_short_search_finds_the_same(order, other, steps):
    """In float64; one of the searches changes its execution half way."""
    ends = {}
    for execution in ("reference", other):
        first = "reference" if execution == "changing" else execution
        settings = replace(SETTINGS, order=order, alphas=replace(SETTINGS.alphas, lr=3e-3), execution=first)
        state = init_search_state(nas.load_space("darts"), settings, 10, torch.device("cpu"))
        assert state.supernet.alpha_normal.dtype == torch.float64
        torch.manual_seed(1)
        for step in range(steps):
            if execution == "changing" and step == steps // 2:
                state.supernet.execution = "fused"
            train, valid = batch(6, 6), batch(6, 6)
            alpha_step(state, settings, train, valid, 0.025)
            weight_step(state, settings, train, 0.025)
        ends[execution] = state.supernet
    for kind, alpha in ends["reference"].alphas().items():
        assert (alpha - ends[other].alphas()[kind]).abs().max() < 1e-8
    assert ends[other].genotype() == ends["reference"].genotype()
    assert ends["reference"].alpha_normal.abs().max() > 0.01


def test_results_do_not_depend_on_the_number_of_threads():
    _, fused = pair("darts")
    one = batch(10, 10, images=6)
    threads = torch.get_num_threads()
    found = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(architecture_gradients(fused, one, one, 0.025)["normal"])
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-14)


def test_another_execution_is_refused():
    with pytest.raises(InputError, match="execution=fast: must be fused or batched or reference"):
        nas.Supernet("tiny", 2, 3, execution="fast")
