"""Styles of operators: declared by name or family, not guessed from the beginning of a name."""

import subprocess
import sys

import pytest

from nas.graph import operator_style as styles
from nas.graph.operator_style import OperatorStyle, declare_family_style, declare_style, operator_style, super_operators
from nas.graph.space_file import read_space


@pytest.fixture
def scratch(monkeypatch):
    monkeypatch.setattr(styles, "_styles", dict(styles._styles))
    monkeypatch.setattr(styles, "_families", list(styles._families))


def test_super_operators_of_shipped_spaces():
    assert super_operators(read_space("darts").operators) == []
    assert super_operators(read_space("darts+ir+sandglass").operators) == ["ir_3x3_t6", "sandglass_3x3_t6"]
    assert super_operators(read_space("darts+variant_a").operators) == ["variant_a_3x3_t6"]


@pytest.mark.parametrize("name", ["sandglass_of_my_own", "ir_mine", "variant_d", "sep_mine", "sandglass_3x3_t6x"])
def test_the_beginning_of_a_name_declares_nothing(name):
    assert operator_style(name) == OperatorStyle(None, False)


@pytest.mark.usefixtures("scratch")
def test_a_name_wins_over_a_family():
    declare_family_style(r"wide_\d+", OperatorStyle("#111111", True))
    declare_style("wide_7", OperatorStyle("#222222"))
    assert operator_style("wide_5") == OperatorStyle("#111111", True)
    assert operator_style("wide_7") == OperatorStyle("#222222", False)
    assert super_operators(["wide_5", "wide_7", "wider_5"]) == ["wide_5"]


@pytest.mark.parametrize("color", ["red", "#12345", "#1234567", "#12345g", "#123456\n", '#fff"', 7])
def test_other_colors_are_refused(refused, color):
    refused("must be #rrggbb", OperatorStyle, color)


def test_colors_do_not_need_torch():
    code = (
        "import sys; from nas.plots.colors import operator_color as color\n"
        "print(color('sandglass_3x3_t4_share1of2'), color('unknown'), 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == ["#c2410c", "#087f5b", "False"]
