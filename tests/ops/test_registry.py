"""Registering operators: one decorator, duplicates raise, unknown names are answered."""

import subprocess
import sys

import pytest
from torch import nn

import nas
from nas.core.errors import InputError
from nas.graph import operator_style
from nas.ops.registry import load_user_operators, operators, register_operator, register_operator_family

BUILT_IN = {
    *("none", "skip_connect", "max_pool_3x3", "avg_pool_3x3"),
    *("sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5"),
    *("conv_7x1_1x7", "conv_1x1", "conv_3x3", "ir_3x3_t6", "sandglass_3x3_t6"),
    *("variant_a_3x3_t6", "variant_b_3x3_t6", "variant_c_3x3_t6"),
}


@pytest.fixture
def scratch(monkeypatch):
    """The registries as they are, given back afterwards."""
    monkeypatch.setattr(operators, "_entries", dict(operators._entries))
    monkeypatch.setattr(operators, "_families", list(operators._families))
    monkeypatch.setattr(operator_style, "_styles", dict(operator_style._styles))
    monkeypatch.setattr(operator_style, "_families", list(operator_style._families))


def test_what_is_built_in():
    assert set(nas.list_operators()) >= BUILT_IN


@pytest.mark.usefixtures("scratch")
def test_an_operator_is_one_decorated_function():
    @nas.register_operator("my_conv")
    def my_conv(channels: int, stride: int, affine: bool) -> nn.Module:
        return nn.Conv2d(channels, channels, 1, stride)

    assert nas.list_operators()[-1] == "my_conv"
    assert isinstance(operators["my_conv"].build(4, 1, True), nn.Conv2d)


@pytest.mark.usefixtures("scratch")
def test_an_operator_may_be_a_module_class():
    @register_operator("as_class")
    class AsClass(nn.Conv2d):
        def __init__(self, channels: int, stride: int, affine: bool) -> None:
            super().__init__(channels, channels, 1, stride)

    assert isinstance(operators["as_class"].build(4, 2, True), AsClass)


@pytest.mark.parametrize("name", ["skip_connect", "1x1", "a.b", "a b", "", "pop", "../x"])
def test_a_taken_or_malformed_name_is_refused(name):
    with pytest.raises(InputError, match="operator"):
        register_operator(name)(lambda channels, stride, affine: nn.Identity())


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown operator 'sep_conv_3x4': did you mean sep_conv_3x3"):
        operators["sep_conv_3x4"]


@pytest.mark.parametrize(
    "name", ["sandglass_3x3_t06", "sandglass_3x3_t6_share2of4", "sandglass_3x3_t6_share1of1", "ir_3x3_t0"]
)
def test_a_second_name_for_the_same_operator_is_none(name):
    assert name not in operators


@pytest.mark.usefixtures("scratch")
def test_a_family_hands_its_options_to_the_factory():
    @register_operator_family("wide_{k}", r"wide_(?P<k>\d+)")
    def wide(channels: int, stride: int, affine: bool, k: str) -> nn.Module:
        return nn.Conv2d(channels, channels, int(k), stride, int(k) // 2)

    assert operators["wide_9"].build(4, 1, True).kernel_size == (9, 9)


@pytest.mark.usefixtures("scratch")
def test_registration_says_color_and_super_operator():
    def factory(channels: int, stride: int, affine: bool, **options: str) -> nn.Module:
        return nn.Identity()

    register_operator("plain_mine")(factory)
    register_operator("mine", super_operator=True, color="#123abc")(factory)
    register_operator_family("mine_{k}", r"mine_(?P<k>\d)", super_operator=True, color="#abc123")(factory)
    names = ["plain_mine", "mine", "mine_3"]
    styles = [operator_style.operator_style(name) for name in names]
    assert [style.color for style in styles] == [None, "#123abc", "#abc123"]
    assert operator_style.super_operators(names) == ["mine", "mine_3"]


@pytest.mark.usefixtures("scratch")
def test_a_malformed_color_or_taken_name_changes_nothing():
    with pytest.raises(InputError, match="color='red': must be #rrggbb"):
        register_operator("mine", color="red")
    with pytest.raises(InputError, match="registered already"):
        register_operator("sep_conv_3x3", color="#123abc")(lambda channels, stride, affine: nn.Identity())
    assert "mine" not in operators
    assert operator_style.operator_style("sep_conv_3x3").color == "#1d5fa8"


@pytest.mark.parametrize("name", [*operators, "sandglass_3x3_t3", "sandglass_3x3_t12_share2of7_dw2", "ir_3x3_t3"])
def test_built_in_operators_have_a_color_except_none(name):
    assert (operator_style.operator_style(name).color is None) is (name == "none")


def test_load_space_checks_the_operators(tmp_path):
    (tmp_path / "mine.yaml").write_text("operators: [sep_conv_3x3, sep_conv_4x4]\n")
    with pytest.raises(InputError, match="unknown operator 'sep_conv_4x4'"):
        nas.load_space(f"darts+{tmp_path}/mine.yaml")


def test_user_operators_come_from_the_file_that_the_user_names(tmp_path):
    file = tmp_path / "my_ops.py"
    file.write_text(
        "import nas\nfrom torch import nn\n\n"
        "@nas.register_operator('from_file')\ndef op(channels, stride, affine):\n    return nn.Identity()\n"
    )
    code = (
        "import sys; from nas.ops.registry import load_user_operators, operators\n"
        "load_user_operators(sys.argv[1]); load_user_operators(sys.argv[1]); print('from_file' in operators)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("1 +", "SyntaxError"),
        ("raise KeyError('x')", "KeyError"),
        ("import nas\nnas.register_operator('none')(1)", "registered already"),
    ],
)
def test_a_broken_operators_file_is_one_line(tmp_path, text, message):
    file = tmp_path / "ops.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_user_operators(file)
    assert str(file) in str(caught.value)
