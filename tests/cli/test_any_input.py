"""Arbitrary input, typed or in a file: accepted, or refused in one line."""

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.cli.config import SearchConfig
from nas.cli.hydra_entry import run_command
from nas.core.dataclass_config import build, dotted_keys
from nas.core.errors import InputError
from nas.core.paths import shipped_folder
from nas.graph.space_fields import TOPOLOGY_DEFAULTS
from nas.graph.space_file import read_space
from nas.graph.zoo import load_genotype
from nas.ops import load_space

FEW = settings(max_examples=50, deadline=None)
KEYS = st.sampled_from(dotted_keys(SearchConfig)) | st.text(max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3))
NAMES = st.sampled_from(["conv_3x3", "none", "sandglass_3x3_t2", "nope", "__class__", ""]) | st.text(max_size=10)
TOPOLOGY = st.dictionaries(
    st.sampled_from([*TOPOLOGY_DEFAULTS, "x"]), st.integers(-2, 80) | st.sampled_from(["all", "last"]) | VALUES
)
FIELDS = {"operators": st.lists(NAMES, max_size=4) | VALUES, "topology": TOPOLOGY | VALUES, "description": VALUES}
SPACES = st.fixed_dictionaries({}, optional=FIELDS)
YAML_SIGNS = st.text("{}[]:-,&*!|>#'\"%@ \n\tab1.", max_size=60)
WORDS = st.builds("{}={}".format, KEYS, st.text(max_size=15) | VALUES) | st.text(max_size=8)


def plain_settings() -> dict:
    """Return the settings of ``conf/search.yaml``, with digits."""
    data = yaml.safe_load((shipped_folder("conf") / "search.yaml").read_text())
    data["data"] = yaml.safe_load((shipped_folder("conf") / "data/digits.yaml").read_text())
    return {key: value for key, value in data.items() if key not in ("defaults", "hydra")}


def with_setting(key: str, value: object) -> dict:
    data = inner = plain_settings()
    *path, last = key.split(".")
    for part in path:
        inner = inner.setdefault(part, {})
        if not isinstance(inner, dict):
            return data
    inner[last] = value
    return data


def test_the_plain_settings_are_valid():
    assert build(SearchConfig, plain_settings()).weights.lr == 0.025


@FEW
@given(KEYS, VALUES)
def test_any_setting(key, value):
    with contextlib.suppress(InputError):
        build(SearchConfig, with_setting(key, value))


@FEW
@given(st.text(max_size=40) | st.lists(st.sampled_from(["darts", "tiny", "ir", " ", "x", "..", "/"])).map("+".join))
def test_any_name_of_a_space(spec):
    with contextlib.suppress(InputError):
        load_space(spec)


@FEW
@given(SPACES | VALUES)
def test_any_space(data):
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        path = Path(folder) / "space.yaml"
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        load_space(str(path))


@pytest.mark.parametrize("read", [read_space, load_genotype])
@FEW
@given(data=st.binary(max_size=60) | YAML_SIGNS.map(str.encode))
def test_any_file(read, data):
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        path = Path(folder) / "file.yaml"
        path.write_bytes(data)
        read(str(path))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.lists(WORDS.filter(lambda word: not word.startswith("-")), max_size=2))
def test_any_command_line(arguments, elsewhere):
    """From Hydra to the settings; no run starts."""
    err = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["search.py", "data=digits", *arguments]),
        contextlib.redirect_stderr(err),
        contextlib.suppress(SystemExit),
    ):
        run_command("search", lambda: (SearchConfig, lambda config, overrides: None), sys.argv[1:])
    lines = err.getvalue().splitlines()
    assert lines == [] or (len(lines) == 1 and lines[0].startswith("error: ")), lines
    assert not list(elsewhere.iterdir())
