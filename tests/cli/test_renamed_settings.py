"""Old names of renamed settings, on the command line and in a stored ``config.yaml``."""

import pytest
import yaml

from nas.cli.main import main
from nas.cli.renamed_overrides import rename_overrides
from nas.core.deprecation import RENAMED_SETTINGS
from nas.core.errors import InputError
from tests.helpers.command_lines import TINY

NAMES = {"descent.rate": "weights.lr", "images": "data", "width": "channels"}


@pytest.fixture
def renamed(monkeypatch):
    for old, new in NAMES.items():
        monkeypatch.setitem(RENAMED_SETTINGS, old, new)


def test_overrides_are_renamed_with_a_line_each(capsys):
    given = ["descent.rate=0.1", "++images.pad=1", "~width", "images=digits", "width=1,2", "seed=width=3"]
    renamed = rename_overrides(given, NAMES)
    assert renamed == ["weights.lr=0.1", "++data.pad=1", "~channels", "data=digits", "channels=1,2", "seed=width=3"]
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["descent.rate=0.1 is now weights.lr=0.1", "images.pad=1 is now data.pad=1"]
    assert len(lines) == 5


def test_other_arguments_are_kept(capsys):
    given = ["-m", "--cfg", "job", "width", "widths=1", "my.width=1", "descent=1", "cell=\"a='b'\nc\"", "", "=1", "+"]
    assert rename_overrides(given, NAMES) == given
    assert capsys.readouterr().err == ""


def test_old_and_new_name_must_agree():
    assert rename_overrides(["width=2", "channels=2"], NAMES) == ["channels=2", "channels=2"]
    with pytest.raises(InputError, match="width=2: is now channels, which is set to 3; leave width out"):
        rename_overrides(["width=2", "channels=3"], NAMES)


@pytest.mark.usefixtures("renamed")
def test_search_with_old_names_and_resume_of_an_older_run(run, elsewhere):
    words = [word for word in TINY if not word.startswith(("data", "channels"))]
    code, _, complaints = run(*words, "images=digits", "images.limit=64", "width=2", "max_minutes=1e-9", "run.dir=a")
    assert (code, len(complaints)) == (0, 3)
    assert complaints[-1] == "width=2 is now channels=2"
    path = elsewhere / "a/config.yaml"
    stored = yaml.safe_load(path.read_text())
    assert (stored["channels"], stored["data"]["limit"]) == (2, 64)

    stored["width"] = stored.pop("channels")
    stored["descent"] = {"rate": stored["weights"].pop("lr")}
    path.write_text(yaml.safe_dump(stored))
    code, _, complaints = run("resume=a", "width=3")
    assert code == 2
    assert complaints[-1] == "error: channels=3: the run in a has channels=2; leave it out, or start a new run"
    code, _, complaints = run("resume=a", "max_minutes=null")
    assert (code, complaints) == (0, ["descent.rate=0.025 is now weights.lr=0.025", "width=2 is now channels=2"])
    assert (elsewhere / "a/result.json").exists()


@pytest.mark.usefixtures("renamed", "elsewhere")
def test_contradictions_are_refused_in_one_line(run, ended):
    message = "error: width=2: is now channels, which is set to 3; leave width out"
    assert run("width=2", "channels=3") == (2, "", [message])
    assert ended(lambda: main(["profile", "width=2", "channels=3"])) == (2, "", [message])
