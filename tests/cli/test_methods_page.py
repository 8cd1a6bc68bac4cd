"""The commands and the example of ``docs/methods.md`` run as they are."""

import re
import shlex
from pathlib import Path

import pytest

from nas.cli.config import SearchConfig
from nas.cli.hydra_entry import compose
from nas.cli.method_settings import apply_method
from nas.search.methods import methods
from nas.search.state import search_method

PAGE = (Path(__file__).resolve().parents[2] / "docs/methods.md").read_text()
LINES = [line.split("#")[0] for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("python search.py")])
def test_the_commands(line):
    given = shlex.split(line)[2:]
    assert search_method(apply_method(compose("search", SearchConfig, given), given).settings).name in line


def test_the_example(elsewhere, search, monkeypatch):
    monkeypatch.setattr(methods, "_entries", dict(methods._entries))
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (elsewhere / "my.py").write_text(code)
    given = re.search(r"`python search.py space=darts (ops=my.py .*?)`", PAGE)[1].split()
    code, out, complaints = search(*given)
    assert (code, complaints) == (0, [])
    assert "by entropy on digits" in out
    config = apply_method(compose("search", SearchConfig, given), given)
    assert (config.alphas.weight_decay, config.methods) == (0.0, {"entropy": {"weight": 0.5}})


def test_every_built_in_method_is_on_the_page():
    shipped = [name for name, entry in methods._entries.items() if entry.build.__module__.startswith("nas.")]
    assert shipped
    assert all(f"| `{name}` |" in PAGE for name in shipped)
    assert all(re.split(r"arXiv |, ", entry.paper)[-1] in PAGE for entry in (methods[name] for name in shipped))
