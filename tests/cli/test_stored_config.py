"""The help, and every configuration, space and cell that is included."""

import itertools
from pathlib import Path

import pytest

import nas
from nas.cli.config import SearchConfig
from nas.cli.search_command import search_command
from nas.core.dataclass_config import dotted_keys
from nas.core.paths import shipped_folder
from nas.data import DATASETS
from nas.graph.zoo import list_cells
from tests.helpers.config import composed

DATA = sorted(path.stem for path in shipped_folder("conf").glob("data/*.yaml"))
PRESETS = sorted(path.stem for path in shipped_folder("conf").glob("search/preset/*.yaml"))
SPACES = sorted(path.stem for path in shipped_folder("search_spaces").glob("*.yaml"))
CELLS = sorted(path.stem for path in shipped_folder("cells").glob("*.yaml"))


def test_no_file_is_missing():
    assert set(DATA) == set(DATASETS)
    assert {"cifar10", "quick"} <= set(PRESETS)
    assert {"darts", "sandglass", "ir", "appendix", "tiny", "variant_a", "variant_b", "variant_c"} <= set(SPACES)
    assert list_cells() == CELLS


@pytest.mark.parametrize(("data", "preset"), [*itertools.product(DATA, PRESETS)])
def test_configuration(data, preset):
    config = composed(f"data={data}", f"preset={preset}")
    assert config.data.name == data
    sizes = {"cifar10": (50, 16), "quick": (7, 8), "table9_cpu": (12, 8), "table9_gpu": (50, 16)}
    assert (config.epochs, config.channels) == sizes[preset]


def test_the_command_line_overrides_the_preset():
    config = composed("preset=quick", "epochs=3", "data=digits", "data.limit=5")
    assert (config.epochs, config.batch_size, config.data.limit) == (3, 32, 5)


@pytest.mark.parametrize("name", SPACES)
def test_space(name):
    space = nas.load_space(name)
    assert nas.load_space(str(shipped_folder("search_spaces") / f"{name}.yaml")).operators == space.operators
    assert space.operators


@pytest.mark.parametrize("name", CELLS)
def test_cell(name):
    genotype = nas.load_genotype(name)
    assert genotype.name
    assert all(operator in nas.ops.operators for operator in genotype.operators())
    assert (shipped_folder("cells") / f"{name}.svg").is_file()


def test_help(run):
    code, out, complaints = run("--help")
    assert (code, complaints) == (0, [])
    assert "python search.py space=darts+sandglass" in out
    assert "resume=" in out
    for name in [*DATA, *PRESETS]:
        assert name in out
    for key in dotted_keys(SearchConfig):
        assert f"\n{key}=" in out or f"\n{key}: " in out or key == "data"
    assert "hydra:" not in out


def test_the_command_holds_no_logic():
    """It is short, since the engine does the work."""
    assert len(Path(search_command.__code__.co_filename).read_text().splitlines()) <= 60


@pytest.mark.parametrize("command", ["search", "retrain"])
def test_the_help_names_every_choice(command):
    text = (shipped_folder("conf") / f"{command}.yaml").read_text()
    shown = text[text.index("== Groups") : text.index("== Settings")]
    for choice in [
        *(shipped_folder("conf") / "data").iterdir(),
        *(shipped_folder("conf") / command / "preset").iterdir(),
    ]:
        assert choice.stem in shown
