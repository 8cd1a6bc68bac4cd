"""The README: its commands, its Python code, its links and its picture."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose
from omegaconf import OmegaConf

from nas.cli.commands import COMMANDS
from nas.cli.config import RetrainConfig, SearchConfig
from nas.cli.hydra_entry import compose as compose_config
from nas.cli.hydra_entry import initialize_hydra, use_command_groups
from nas.cli.main import main
from nas.core.dataclass_config import build

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
KINDS = {"search": SearchConfig, "retrain": RetrainConfig}
LINES = [
    line.split("#")[0].strip() for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()
]


QUICK = ("draw", "show", "methods", "ops", "spaces", "--version")


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith(tuple(f"nas {q}" for q in QUICK))])
def test_small_commands(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(shlex.split(line)[1:])
    assert capsys.readouterr().out


def test_every_command_exists():
    named = {shlex.split(line)[1] for line in LINES if line.startswith("nas ")} - {"--version"}
    assert named
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("line", [line for line in LINES if re.match(r"python (search|retrain)\.py (?!--help)", line)])
def test_searches_and_retrainings(line):
    _, program, *words = shlex.split(line)
    name = program.removesuffix(".py")
    overrides = [word for word in words if word != "-m"]
    single = [word if "," not in word else word.split(",")[0] for word in overrides]  # a sweep's first job
    use_command_groups(name)
    with initialize_hydra():
        config = compose(name, single)
    build(KINDS[name], OmegaConf.to_container(config, resolve=True))


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("nas profile ")])
def test_profiles(line):
    assert compose_config("search", SearchConfig, shlex.split(line)[2:])


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_make_targets(line):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    assert shlex.split(line)[1] in targets


BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def output(block, folder):
    code = [sys.executable, "-W", "error", "-c", block]
    run = subprocess.run(code, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_gradients_and_cost_in_python(tmp_path):
    out = output(BLOCKS[0], tmp_path)
    assert "{'normal': (14, 9), 'reduce': (14, 9)}" in out  # 14 edges, 9 operators
    assert "M params, " in out


def test_a_search_in_python(tmp_path):
    """Search, retrain, evaluate, load and draw in at most ten lines, on one channel of floats."""
    assert len([line for line in BLOCKS[1].splitlines() if line and "import" not in line]) <= 10
    *_, top1, name = output(BLOCKS[1], tmp_path).splitlines()
    assert 0 <= float(top1) <= 1
    assert name in "0123456789"
    assert (tmp_path / "cells.svg").is_file()


def test_all_python_blocks_are_run():
    assert len(BLOCKS) == 2


def test_the_picture_shows_a_sandglass_block():
    (picture,) = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert "sandglass_3x3_t6" in (ROOT / picture).read_text()


def test_linked_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
