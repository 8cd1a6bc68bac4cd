"""Operators that break the contract are refused before they are trained, each with one line."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nas
from nas.core.errors import InputError
from nas.graph.space import Space
from nas.ops.contract import check_operator_contract, check_operators
from nas.ops.registry import load_user_operators, operators


class Call(nn.Module):
    """A function of the input as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.function(self, x)


def strided(x, stride):
    return x[:, :, ::stride, ::stride]


BROKEN = {  # name: (function of module, x, stride), and parts of the message
    "half_of_the_channels": (lambda m, x, s: strided(x, s)[:, ::2], ["(3, 2, 5, 7)", "required: (3, 4, 5, 7)"]),
    "twice_the_pixels": (lambda m, x, s: x.repeat(1, 1, 2, 2), ["stride 1", "(3, 4, 10, 14)"]),
    "one_image": (lambda m, x, s: strided(x, s)[:1], ["(1, 4, 5, 7)"]),
    "broadcastable": (lambda m, x, s: x.mean((2, 3), keepdim=True), ["(3, 4, 1, 1)"]),
    "no_stride": (lambda m, x, s: x, ["stride 2", "(3, 4, 5, 7)", "required: (3, 4, 3, 4)"]),
    "rounded_down": (lambda m, x, s: strided(x, s)[..., : x.shape[2] // s, : x.shape[3] // s], ["stride 2"]),
    "transposed": (lambda m, x, s: strided(x, s).mT, ["(3, 4, 7, 5)"]),
    "even_sizes_only": (lambda m, x, s: strided(x, s).view(len(x), 4, -1, 2, x.shape[3] // s), ["fails", "training"]),
    "two_images_only": (lambda m, x, s: strided(x, s) + torch.zeros(2, 1, 1, 1), ["fails for (3, 4, 5, 7)"]),
    "nothing": (lambda m, x, s: None, ["returned NoneType"]),
    "a_list": (lambda m, x, s: [strided(x, s)], ["returned list"]),
    "another_dtype": (lambda m, x, s: strided(x, s).half(), ["torch.float16", "required: torch.float32"]),
    "another_device": (lambda m, x, s: strided(x, s).to("meta"), ["on meta", "on cpu"]),
    "sparse": (lambda m, x, s: strided(x, s).to_sparse(), ["sparse_coo"]),
    "not_finite": (lambda m, x, s: strided(x, s).log(), ["not finite"]),
    "in_place": (lambda m, x, s: strided(x.relu_(), s), ["in place", "inplace=False"]),
    "in_place_behind_autograd": (lambda m, x, s: strided(x.data.mul_(2), s) * 1, ["in place"]),
    "in_evaluation": (lambda m, x, s: strided(x if m.training else x[:1], s), ["(1, 4, 8, 8)"]),
    "python_random": (lambda m, x, s: strided(x, s) * random.random(), ["draws from random", "torch.rand"]),
    "numpy_random": (lambda m, x, s: strided(x, s) * float(np.random.rand()), ["draws from numpy.random"]),
    "fresh_generator": (lambda m, x, s: strided(x, s) * float(np.random.default_rng().random()), ["two passes"]),
    "hidden_counter": (lambda m, x, s: strided(x, s) * m.calls, ["two passes", "buffers"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_operator_is_refused(name, register, refused):
    function, parts = BROKEN[name]
    register(name)(lambda channels, stride, affine: Call(lambda module, x: function(module, x, stride)))
    states = random.getstate(), str(np.random.get_state()), torch.get_rng_state()
    refused((f"operator {name}", *parts), check_operators, [name], channels=4)
    assert (random.getstate(), str(np.random.get_state())) == states[:2]
    assert torch.equal(torch.get_rng_state(), states[2])
    refused(f"operator {name}", nas.Supernet, Space("own", ("skip_connect", name)), channels=4, cells=3)
    edges = f"[('{name}', 0), ('{name}', 1)]"
    genotype = nas.load_genotype(f"Genotype(normal={edges}, reduce={edges})")
    refused(f"operator {name}", nas.Network, genotype, 4, 3)


FACTORIES = {
    "raises": (lambda channels, stride, affine: nn.Conv2d(channels, channels, 1, groups=3), ["cannot be built", "4"]),
    "no_module": (lambda channels, stride, affine: torch.relu, ["required: a torch.nn.Module"]),
    "inplace_relu": (lambda channels, stride, affine: nn.ReLU(inplace=True), ["in place"]),
    "generator": (lambda channels, stride, affine: with_generator(), ["generator of its own"]),
    "random_build": (
        lambda channels, stride, affine: nn.AvgPool2d(random.choice([1, 3]), stride),
        ["draws from random"],
    ),
}


def with_generator():
    module = nn.Identity()
    module.source = random.Random(0)
    return module


@pytest.mark.parametrize("name", FACTORIES)
def test_a_broken_factory_is_refused(name, register, refused):
    factory, parts = FACTORIES[name]
    register(name)(factory)
    refused((f"operator {name}, stride 1", *parts), check_operators, [name], channels=4)


def count_pass(module, inputs):
    module.passes += 1


def test_what_is_allowed(register):
    """Randomness from torch's generator, state in buffers, a change in place after the first layer."""

    @register("allowed")
    def allowed(channels, stride, affine):
        body = nn.Sequential(nn.Conv2d(channels, channels, 3, stride, 1), nn.ReLU(inplace=True), nn.Dropout(0.5))
        body.register_buffer("passes", torch.zeros(()))
        body.register_forward_pre_hook(count_pass)
        body.register_forward_hook(lambda module, _, y: y * module.passes)
        return body

    check_operators(["allowed"], channels=(1, 4, 7))


@pytest.mark.parametrize("in_search", [True, False])
def test_shipped_operators_keep_the_contract(in_search):
    names = [*operators, "sandglass_3x3_t3_share1of2_dw2", "ir_3x3_t3"]
    check_operators(names, channels=(2, 5), in_search=in_search)


def test_a_failed_check_is_repeated_and_a_passed_one_is_kept(register):
    built = []

    @register("counted")
    def counted(channels, stride, affine):
        built.append(stride)
        if len(built) == 1:
            raise RuntimeError("not yet")
        return nn.AvgPool2d(1, stride)

    with pytest.raises(InputError, match="not yet"):
        check_operator_contract("counted", 4, 1)
    for _ in range(3):
        check_operator_contract("counted", 4, 1)
    assert len(built) == 2


def test_the_callers_modes_do_not_matter(register):
    """The check itself runs on a CPU in float32, in a plain eager mode; the caller's settings come back."""
    register("plain")(lambda channels, stride, affine: nn.Conv2d(channels, channels, 1, stride))
    threads = torch.get_num_threads()
    with torch.device("meta"), torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        check_operator_contract("plain", 4, 1)
        assert not torch.is_grad_enabled()
        assert torch.zeros(1).device.type == "meta"
    with torch.inference_mode():
        check_operator_contract("plain", 4, 2)
    assert torch.get_num_threads() == threads


def test_a_supernet_on_the_meta_device():
    with torch.device("meta"):
        net = nas.Supernet("tiny", 5, 3)
    assert net(torch.randn(2, 3, 8, 8, device="meta")).shape == (2, 10)


def test_a_search_refuses_it_before_it_starts(tmp_path):
    (tmp_path / "ops.py").write_text(
        "import nas\nfrom torch import nn\n"
        "@nas.register_operator('halves')\ndef op(channels, stride, affine):\n"
        "    return nn.Conv2d(channels, channels // 2, 1, stride)\n"
    )
    (tmp_path / "own.yaml").write_text("operators: [halves, skip_connect]\n")
    code = "import sys; from nas.cli.search import main; sys.argv[0] = 'nas-search'; main()"
    settings = ["space=own.yaml", "ops=ops.py", "data=digits", "data.limit=64", "channels=4", "run.dir=out"]
    run = subprocess.run(
        [sys.executable, "-c", code, *settings], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2, run.stderr
    assert "operator halves, stride 1, input (3, 4, 5, 7): returned the shape (3, 2, 5, 7)" in run.stderr
    assert not (tmp_path / "out/metrics.jsonl").exists()


def test_the_check_takes_less_than_two_seconds():
    """Of processor time, at the three widths of the default search."""
    from nas.ops import contract

    contract._check.cache_clear()
    start = time.process_time()
    check_operators(nas.load_space("darts+sandglass"), channels=(16, 32, 64))
    assert time.process_time() - start < 2


@pytest.mark.parametrize("execution", ["fused", "batched"])
@pytest.mark.parametrize("alter", ["channels", "pixels", "images", "list"])
def test_a_module_exchanged_after_the_check(alter, execution, refused):
    """The fast executions check each unknown module's output before a kernel reads it."""
    outputs = {
        "channels": lambda x: x[:, :2],
        "pixels": lambda x: x[..., :1],
        "images": lambda x: x[:1],
        "list": lambda x: [x],
    }
    net = nas.Supernet("darts", 4, 3, execution=execution)
    for norm in (False, True):
        call = Call(lambda module, x: outputs[alter](x))
        net.cells[0].edges[2]["sep_conv_3x3"] = nn.Sequential(call, nn.BatchNorm2d(4, affine=False)) if norm else call
        if alter != "list" or not norm:
            with pytest.raises(Exception, match=r"operator sep_conv_3x3: returned|running_mean should contain"):
                net(torch.randn(3, 3, 8, 8))


def test_the_example_of_the_documentation_keeps_it(register, tmp_path):
    text = (Path(__file__).parents[2] / "docs/operators.md").read_text()
    (tmp_path / "ops.py").write_text(text.split("```python\n")[1].split("```")[0])
    load_user_operators(tmp_path / "ops.py")
    check_operators(["ghost_3x3"], channels=(1, 4, 7))
