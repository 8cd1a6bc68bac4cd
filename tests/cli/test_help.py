"""``--help`` of the commands that take settings, and what is answered without torch."""

import re
import subprocess
import sys

import pytest

from nas.cli.config import RetrainConfig, SearchConfig
from nas.cli.run_help import run_help
from nas.cli.setting_help import command_settings
from nas.core.dataclass_config import dotted_keys

KINDS = {"search": SearchConfig, "retrain": RetrainConfig}
PROGRAMS = ["search.py", "nas-search", "/usr/bin/nas", "/site/nas/__main__.py"]


@pytest.mark.parametrize("data", ["cifar10", "cifar100", "digits", "folder"])
@pytest.mark.parametrize("command", KINDS)
def test_every_setting_is_explained(command, data):
    """By more than the source of its value."""
    given = [f"data={data}"]
    explained = {setting.key: setting for setting in command_settings(command, given)}
    text = "\n".join(run_help(command, given))
    assert set(explained) == set(dotted_keys(KINDS[command])) - {"data"}
    for key, setting in explained.items():
        assert re.sub(r"\W*(DARTS|arXiv|§).*", "", setting.text), f"{key}: {setting.text}"
        assert f"\n{key}{':' if setting.default is None else f'={setting.default}'}" in text


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("command", KINDS)
def test_help_is_79_columns_wide_and_names_the_program(command, program, monkeypatch):
    monkeypatch.setattr(sys, "argv", [program])
    lines = run_help(command, [])
    assert not [line for line in lines if len(line) > 79]
    name = {"nas-search": f"nas {command}", "search.py": f"python {command}.py", "/usr/bin/nas": f"nas {command}"}
    examples = [line for line in lines if line.startswith("  ") and f" {command}" in f" {line}" and "=" in line]
    wanted = name.get(program, f"python -m nas {command}")
    assert any(line.startswith(f"  {wanted} ") for line in lines), examples


def test_help_shows_the_values_of_a_preset():
    values = {setting.key: setting.default for setting in command_settings("search", ["preset=table9_cpu", "seed=7"])}
    assert (values["epochs"], values["alphas.lr"], values["data.limit"]) == ("12", "3.0e-3", "5000")
    assert (values["seed"], values["batch_size"]) == ("7", "64")
    assert {s.key: s.default for s in command_settings("retrain")}["data.cutout"] == "16"  # conf/retrain/cutout


def test_an_unknown_preset_does_not_choose_a_file():
    assert command_settings("search", ["preset=../../data/digits", "data=nothing"])[0].default == "darts"


@pytest.mark.parametrize(
    "words", [["--help"], ["epochs=1", "-h"], ["-sc", "query=bash"], ["lr=0.1"], ["--space=darts"]]
)
def test_answers_come_without_torch(words, child_environment, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"  # importing it raises
        f"from nas.cli.search import main; sys.argv = ['search.py', *{words}]; main()"
    )
    environment = {**child_environment, "COMP_LINE": "python search.py prese"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    wanted = {
        "-sc": "preset=\n",
        "lr=0.1": "error: unknown key lr: write weights.lr or alphas.lr\n",
        "--space=darts": "error: --space=darts: is a setting, not an option; write space=darts\n",
    }
    assert wanted.get(words[0], "== Settings (key=value") in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_options_that_are_settings(run):
    for words, text in (
        (["--batch-size", "64"], "write batch_size=64"),
        (["--preset"], "write preset=VALUE"),
        (["--epoch=3"], "unknown option; settings are key=value: did you mean epochs?"),
        (["--hlp"], "search.py --help"),
    ):
        code, _, complaints = run(*words)
        assert (code, len(complaints)) == (2, 1)
        assert text in complaints[0]
