"""MobileNeXt, MobileNetV2 and their variants: published counts, forward passes against plain ones, timm's interface."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nas
from nas.core.errors import InputError
from nas.models.image_models import MODELS
from nas.models.mobilenetv2 import mobilenetv2, mobilenetv2_two_depthwise
from nas.models.mobilenext import mobilenext
from nas.models.mobilenext_se import SameConv2d, mobilenext_se

COUNTS = {  # of the authors' released networks; MobileNetV2: torchvision's rules. Parameters, multiply-adds at 224x224
    "mobilenext_035": (1_913_976, 75_141_032),
    "mobilenext_050": (2_152_304, 103_256_448),
    "mobilenext_075": (2_766_168, 207_926_720),
    "mobilenext_100": (3_535_416, 311_342_592),
    "mobilenext_140": (6_126_168, 588_319_256),
    "mobilenetv2_035": (1_677_128, 59_285_808),
    "mobilenetv2_050": (1_968_680, 97_131_840),
    "mobilenetv2_075": (2_636_424, 209_069_792),
    "mobilenetv2_100": (3_504_872, 300_774_272),
    "mobilenetv2_140": (6_108_776, 582_195_824),
    "mobilenext_100_variant_a": (3_383_704, 240_690_864),
    "mobilenext_100_variant_b": (3_397_080, 244_719_840),
    "mobilenext_100_variant_c": (3_456_472, 295_637_504),
    "mobilenetv2_100_two_dw": (3_583_368, 334_445_504),
    "mobilenext_se_100": (3_937_011 - 2_560, 330_182_144),  # without the BatchNorm that never runs
    "mobilenext_se_110": (4_287_498 - 2_560, 415_057_856),
}
SHORTCUTS = {"1": 818_496, "1/2": 409_248, "1/3": 272_832, "1/6": 136_416}  # additions at 224x224


def test_every_network_has_a_count():
    assert set(COUNTS) == set(MODELS)


@pytest.mark.parametrize("name", COUNTS)
def test_the_counts_are_the_published_ones(name):
    with torch.device("meta"):
        count = nas.cost(nas.create_model(name), (3, 224, 224))
    assert (count.params, count.macs) == COUNTS[name]


@pytest.mark.parametrize("identity", SHORTCUTS)
def test_the_identity_multiplier_changes_the_shortcut_alone(identity):
    with torch.device("meta"):
        model = mobilenext(identity=identity)
        assert nas.cost(model, (3, 224, 224)).params == COUNTS["mobilenext_100"][0]
        additions = 0
        x = model.stem(torch.zeros(1, 3, 224, 224))
        for block in model.blocks:
            y = block(x)
            additions += getattr(block, "shared", 0) * y.shape[2] * y.shape[3]
            x = y
    assert additions == SHORTCUTS[identity]


@pytest.mark.parametrize("name", ["mobilenext_035", "mobilenext_se_100", "mobilenetv2_100_two_dw"])
def test_outputs_are_finite_and_gradients_reach_every_weight(name):
    torch.manual_seed(0)
    model = nas.create_model(name, num_classes=3)
    loss = F.cross_entropy(model(torch.randn(4, 3, 64, 64)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert torch.isfinite(loss)
    missing = [key for key, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not missing
    assert sum(bool(p.grad.abs().sum()) for p in model.parameters()) > 0.9 * len(list(model.parameters()))


def test_a_sandglass_block_is_the_plain_formula_in_float64():
    torch.manual_seed(0)
    model = mobilenext(0.35, identity="1/2").double().eval()
    block = next(block for block in model.blocks if getattr(block, "shared", 0))
    for layer in block.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    channels = block.channels
    x = torch.randn(2, channels, 7, 7, dtype=torch.float64)
    convs = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)]

    def normed(y, conv, norm):
        y = F.conv2d(y, conv.weight, padding=conv.weight.shape[2] // 2, groups=y.shape[1] // conv.weight.shape[1])
        mean, variance = (part[:, None, None] for part in (norm.running_mean, norm.running_var))
        return (y - mean) / (variance + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]

    y = normed(x, convs[0], norms[0]).clamp(0, 6)
    y = normed(y, convs[1], norms[1])
    y = normed(y, convs[2], norms[2]).clamp(0, 6)
    y = normed(y, convs[3], norms[3])
    y[:, : channels // 2] += x[:, : channels // 2]
    torch.testing.assert_close(block(x), y)


@pytest.mark.parametrize(
    ("size", "kernel", "before", "after"), [(8, 3, 0, 1), (8, 5, 1, 2), (7, 3, 1, 1), (7, 5, 2, 2)]
)
def test_same_padding(size, kernel, before, after):
    conv = SameConv2d(1, 1, kernel, stride=2, bias=False)
    x = torch.randn(1, 1, size, size)
    expected = F.conv2d(F.pad(x, (before, after, before, after)), conv.weight, stride=2)
    torch.testing.assert_close(conv(x), expected)
    assert expected.shape[2] == -(-size // 2)


def test_dropped_paths_keep_the_mean():
    torch.manual_seed(0)
    block = next(block for block in mobilenext_se(drop_path_rate=0.5).blocks if block.shortcut)
    block.drop_path = 0.25
    block.layers, block.attention = nn.Identity(), nn.Identity()
    y = block.train()(torch.ones(4000, 1, 1, 1)) - 1
    torch.testing.assert_close(y.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert y.mean() == pytest.approx(1, abs=0.05)
    assert block.eval()(torch.ones(1, 1, 1, 1)).item() == 2


@pytest.mark.parametrize(("place", "active"), [("both", [1, 1]), ("first", [1, 0]), ("second", [0, 1])])
def test_relu6_after_the_two_depthwise_convolutions(place, active):
    layers = list(mobilenetv2_two_depthwise(relu6_after=place).blocks[0])
    found = []
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            found.append(int(isinstance(layers[index + 2], nn.ReLU6)))
    assert found == active


def test_the_interface_is_that_of_timm():
    images = torch.randn(2, 4, 64, 64)
    model = nas.create_model("mobilenetv2_035", num_classes=7, in_chans=4, drop_rate=0.0).eval()
    features = model.forward_features(images)
    assert features.shape == (2, model.num_features, 2, 2)
    assert torch.equal(model.forward_head(features), model(images))
    assert model.forward_head(features, pre_logits=True).shape == (2, 1280)
    assert model.get_classifier().out_features == 7
    model.reset_classifier(0)
    assert model(images).shape == (2, 1280)
    model.reset_classifier(0, "")
    assert model(images).shape == (2, 1280, 2, 2)
    backbone = nas.create_model("mobilenext_035", features_only=True, out_indices=(1, -1)).eval()
    assert [tuple(y.shape[1:]) for y in backbone(images[:, :3])] == [(c, n, n) for c, n in ((48, 16), (1280, 2))]
    assert backbone.channels == (48, 1280)
    assert [info["reduction"] for info in backbone.network.feature_info] == [2, 4, 8, 16, 32]


def test_names():
    assert nas.list_models("mobilenext_1*")[0] == "mobilenext_100"
    assert {"mobilenetv2_140", "darts_v2"} <= set(nas.list_models())
    assert nas.list_models("nothing*") == []


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: nas.create_model("mobilenext_10"), "mobilenext_10"),
        (lambda: nas.create_model("mobilenext_100", channels=4), "mobilenext_100: unknown option 'channels'"),
        (lambda: nas.create_model("darts_v2", drop_rate=0.1), "darts_v2: unknown option 'drop_rate'"),
        (lambda: nas.create_model("mobilenext_100", identity="1/4"), "identity='1/4': must be 1, 1/2, 1/3, 1/6"),
        (lambda: nas.create_model("mobilenext_100", identity=float("nan")), "identity=nan: must be"),
        (lambda: nas.create_model("mobilenext_100", pretrained=True), "pretrained=True: not for mobilenext_100"),
        (lambda: nas.create_model("mobilenext_100", num_classes=-1), "num_classes=-1: must be at least 0"),
        (lambda: nas.create_model("mobilenext_100", global_pool=""), "global_pool='': needs num_classes=0"),
        (lambda: nas.create_model("mobilenext_100", out_indices=(0,)), "needs features_only=True"),
        (lambda: nas.create_model("mobilenext_035", features_only=True, out_indices=(5,)), "stages 0 to 4"),
        (lambda: mobilenext(0), "width=0: must be above 0"),
        (lambda: mobilenetv2(float("nan")), "width=nan: must be above 0"),
        (lambda: mobilenext(variant="c"), "variant=c: must be a, b, d"),
        (lambda: mobilenext_se(1.2), "depth=1.2: must be 1.0 or 1.1"),
    ],
)
def test_wrong_names_and_options_are_refused(call, part):
    with pytest.raises(InputError) as caught:
        call()
    assert part in str(caught.value)
