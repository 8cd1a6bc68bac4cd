"""Readers of run folders: settings under old names, and unreadable records."""

import json
import re
from pathlib import Path

import pytest
import yaml

import nas
from nas.core.deprecation import RENAMED_SETTINGS
from nas.core.errors import InputError
from nas.core.run_files import CONFIG, ENVIRONMENT
from nas.reports.run_folder import read_config, read_overrides


@pytest.fixture
def renamed(monkeypatch):
    monkeypatch.setitem(RENAMED_SETTINGS, "descent.rate", "weights.lr")


@pytest.mark.usefixtures("renamed")
def test_a_stored_setting_is_read_by_its_current_name(tmp_path, capsys):
    (tmp_path / CONFIG).write_text(yaml.safe_dump({"descent": {"rate": 0.1}, "seed": 3}))
    assert read_config(tmp_path) == {"weights": {"lr": 0.1}, "seed": 3}
    assert capsys.readouterr().err == "descent.rate=0.1 is now weights.lr=0.1\n"
    (tmp_path / CONFIG).write_text(yaml.safe_dump({"descent": {"rate": 0.1}, "weights": {"lr": 0.2}}))
    with pytest.raises(InputError, match=r"descent\.rate=0\.1: is now weights\.lr, which is set to 0\.2"):
        read_config(tmp_path)


def test_only_one_function_reads_a_stored_configuration():
    package = Path(nas.__file__).parent
    reads = re.compile(r"read_\w+\([^)]*(?:\bCONFIG\b|config\.yaml)")
    reading = (path for path in package.rglob("*.py") if reads.search(path.read_text()))
    found = sorted(path.relative_to(package).as_posix() for path in reading)
    assert found == ["reports/run_folder.py"]


def test_settings_of_a_command_that_cannot_be_parsed(tmp_path):
    for command, expected in {
        "python search.py 'space=a b' x": {"space": "a b"},
        "python search.py 'space=a": {},
    }.items():
        (tmp_path / ENVIRONMENT).write_text(json.dumps([{"command": command}]))
        assert read_overrides(tmp_path) == expected
