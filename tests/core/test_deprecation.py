"""Renamed names and settings keep working and say so once."""

import sys
import types
import warnings

import pytest

from nas.core.deprecation import rename_settings, renamed_attributes
from nas.core.errors import InputError


@pytest.fixture
def module(monkeypatch, request):
    made = types.ModuleType(f"made_for_{request.node.name}")
    made.current = 7
    names = {"old": "current", "moved": "nas.core.errors:InputError"}
    made.__getattr__ = renamed_attributes(made.__name__, names)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def test_an_old_name_resolves_with_one_warning(module):
    with pytest.warns(FutureWarning, match=rf"^{module.__name__}\.old is now {module.__name__}\.current$") as record:
        assert module.old == 7
    assert record[0].filename == __file__  # the warning points at the user's line
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module.old == 7


def test_a_name_may_have_moved_to_another_module(module):
    with pytest.warns(FutureWarning, match=r"moved is now nas\.core\.errors\.InputError"):
        assert module.moved is InputError


def test_other_names_raise_as_usual(module):
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        _ = module.other


def test_settings_are_renamed_with_a_line_each(capsys):
    settings = {"seed": 1, "descent": {"lr": 0.1, "kind": "sgd"}, "failure": {"limit": 3}}
    names = {"descent.lr": "optimizer.lr", "failure": "nonfinite", "absent": "present", "seed.deep": "x"}
    renamed = rename_settings(settings, names)
    assert renamed == {"seed": 1, "descent": {"kind": "sgd"}, "optimizer": {"lr": 0.1}, "nonfinite": {"limit": 3}}
    lines = ["descent.lr=0.1 is now optimizer.lr=0.1", "failure=… is now nonfinite=…"]
    assert capsys.readouterr().err.splitlines() == lines
    assert settings["descent"] == {"lr": 0.1, "kind": "sgd"}  # the given mapping is not changed


def test_a_group_that_becomes_empty_is_removed():
    assert rename_settings({"a": {"b": {"c": 1}}}, {"a.b.c": "d"}) == {"d": 1}


def test_current_settings_pass_without_a_line(capsys):
    settings = {"optimizer": {"lr": 0.1}, "none": None}
    assert rename_settings(settings, {"descent.lr": "optimizer.lr"}) == settings
    assert capsys.readouterr().err == ""


def test_both_names_with_different_values_are_refused():
    assert rename_settings({"old": 1, "new": 1}, {"old": "new"}) == {"new": 1}
    with pytest.raises(InputError, match=r"^old=1: is now new, which is set to 2; leave old out$"):
        rename_settings({"old": 1, "new": 2}, {"old": "new"})
