"""What the README tells people to type can be typed."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from nas.cli.config import SearchConfig
from nas.cli.convert import build
from nas.cli.small import main
from nas.core.resources import folder

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
LINES = [
    line.split("#")[0].strip() for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()
]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("python -m nas ")])
def test_small_commands(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(shlex.split(line)[3:])
    assert capsys.readouterr().out


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("python search.py ")])
def test_searches(line):
    overrides = [word for word in shlex.split(line)[2:] if word != "-m"]
    single = [word if "," not in word else word.split(",")[0] for word in overrides]  # a sweep's first job
    own_groups = f"hydra.searchpath=[file://{folder('conf') / 'search'}]"
    with initialize_config_dir(str(folder("conf")), version_base="1.3"):
        config = compose("search", [*single, own_groups])
    build(SearchConfig, OmegaConf.to_container(config, resolve=True))


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_make_targets(line):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    assert shlex.split(line)[1] in targets


def test_linked_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
