"""Names of 300 characters, deep paths, folders in place of files, and digits that are none: one line, exit code 2."""

import pytest

from nas.cli.main import main as nas
from tests.helpers.command_lines import TINY

LONG = "x" * 300
DEEP = "/".join(["d"] * 1200)
UNPRINTABLE = "a\x1b[2J\n\u202eb\udcff"


def refused(ended) -> None:
    assert (ended.code, len(ended.complaints)) == (2, 1), ended
    assert ended.complaints[0].startswith("error: ")
    assert ended.complaints[0].isprintable()


@pytest.mark.parametrize("name", [LONG, DEEP, "folder", "a-²", UNPRINTABLE])
def test_settings_that_are_paths(name, search, run, elsewhere):
    (elsewhere / "folder.yaml").mkdir()
    (elsewhere / "folder.py").mkdir()
    refused(run(*TINY, f'space="{name}.yaml"'))
    refused(search(f'ops="{name}.py"'))
    refused(search(f'resume="{name}"'))
    if name in (LONG, UNPRINTABLE):
        refused(search(f'run.dir="{name}"'))


@pytest.mark.parametrize("name", [LONG, DEEP, "folder", "a-²", UNPRINTABLE])
@pytest.mark.parametrize("words", ["show {}.yaml", "export {}.pt -o x.pt2", "export {}.safetensors -o x.pt2"])
def test_arguments_that_are_paths(name, words, ended, elsewhere):
    for ending in (".yaml", ".pt", ".safetensors"):
        (elsewhere / f"folder{ending}").mkdir()
    refused(ended(lambda: nas([word.format(name) for word in words.split()])))


def test_unknown_arguments_are_printable(ended):
    complaints = ended(lambda: nas(["spaces", "darts", UNPRINTABLE])).complaints
    assert complaints[-1].endswith(r"unrecognized arguments: a\x1b[2J\n\u202eb\udcff")
    assert all(map(str.isprintable, complaints))


def test_numbers_of_runs_and_checkpoints_are_plain_digits(search, elsewhere):
    for name in ("tiny-digits-seed0-²", "tiny-digits-seed0-x", "tiny-digits-seed0-03"):
        (elsewhere / "runs" / name).mkdir(parents=True)
    assert search("resume=true", "max_minutes=1e-9").code == 0
    (folder,) = [path for path in (elsewhere / "runs").iterdir() if (path / "config.yaml").exists()]
    (folder / "checkpoint-².pt").write_text("")
    assert search("resume=true", "max_minutes=null").code == 0
    assert (folder / "result.json").exists()
