"""Compatibility: argparse of Python 3.14; refusal of Windows."""

import argparse
import sys

import pytest
from hydra._internal.utils import get_args_parser

from nas.cli.hydra_entry import accept_lazy_help
from nas.cli.main import main


@pytest.fixture
def argparse_of_314(monkeypatch):
    """Validate each help text when it is added, as Python 3.14 does (its ``ArgumentParser._check_help``)."""
    add = argparse.ArgumentParser.add_argument

    def check_help(parser, action):
        try:
            if action.help and "%" in action.help:
                parser._get_formatter()._expand_help(action)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError("badly formed help string") from error

    def add_and_check(parser, *args, **kwargs):
        action = add(parser, *args, **kwargs)
        parser._check_help(action)
        return action

    monkeypatch.setattr(argparse.ArgumentParser, "_check_help", check_help, raising=False)
    if sys.version_info < (3, 14):
        monkeypatch.setattr(argparse.ArgumentParser, "add_argument", add_and_check)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Hydra 1.4 accepts its own help text there")
def test_the_check_refuses_the_help_of_hydra(argparse_of_314):
    with pytest.raises(ValueError, match="badly formed help string"):
        get_args_parser()


def test_lazy_help_is_accepted_for_hydra_alone(argparse_of_314):
    with accept_lazy_help():
        assert "--shell-completion" in get_args_parser().format_usage()
        with pytest.raises(ValueError, match="badly formed help string"):
            argparse.ArgumentParser().add_argument("--rate", help="100 %!")
    with pytest.raises(ValueError, match="badly formed help string"):
        argparse.ArgumentParser().add_argument("--rate", help=object())


def test_help_and_a_search(argparse_of_314, run, search):
    code, out, complaints = run("--help")
    assert (code, complaints) == (0, [])
    assert "search.py space=darts+sandglass" in out
    code, _, complaints = search()
    assert (code, complaints) == (0, [])


def test_windows_is_refused_in_one_line(monkeypatch, elsewhere, search, ended):
    monkeypatch.setattr(sys, "platform", "win32")
    for command in (search, lambda: ended(lambda: main(["spaces"]))):
        code, out, complaints = command()
        assert (code, out, len(complaints)) == (2, "", 1)
        assert complaints[0].startswith("error: platform=win32: not supported")
        assert "WSL" in complaints[0]
    assert not list(elsewhere.iterdir())
