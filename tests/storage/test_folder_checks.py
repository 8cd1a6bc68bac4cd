"""Run folders with links, pipes, sockets and folders in place of files."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from nas.core.errors import InputError
from nas.storage.folder_checks import check_run_folder

FILES = ["config.yaml", "lock", "checkpoint.pt", "metrics.jsonl", "environment.json", ".config.yaml.7.tmp"]


@pytest.fixture
def folder(tmp_path):
    run = tmp_path / "run"
    (run / "tensorboard").mkdir(parents=True)
    (run / "tensorboard/events").write_text("")
    (run / "config.yaml").write_text("")
    (run / "checkpoint.pt").write_text("")
    os.link(run / "checkpoint.pt", run / "checkpoint-1.pt")  # as the retention of checkpoints does
    return run


def test_a_run_folder_and_a_missing_one_pass(folder):
    check_run_folder(folder)
    check_run_folder(folder / "missing")


@pytest.mark.parametrize("name", [*FILES, "tensorboard/events", "other"])
@pytest.mark.parametrize("target", ["/dev/null", "config.yaml", "missing", ".."])
def test_links_are_refused(name, target, folder):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)
    with pytest.raises(InputError, match=f"{name}: is a link"):
        check_run_folder(folder)


@pytest.mark.parametrize("name", [*FILES, "tensorboard/events"])
def test_pipes_are_refused(name, folder):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(InputError, match=f"{name}: is not a regular file"):
        check_run_folder(folder)


def test_sockets_are_refused(folder, monkeypatch):
    monkeypatch.chdir(folder)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("result.json")
        with pytest.raises(InputError, match=r"result\.json: is not a regular file"):
            check_run_folder(folder)


@pytest.mark.parametrize("name", ["config.yaml", "lock", "checkpoint.pt", "metrics.jsonl", "environment.json"])
def test_folders_in_place_of_files_are_refused(name, folder):
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(InputError, match=f"{name}: is a folder, a file is expected"):
        check_run_folder(folder)


def test_a_file_in_place_of_a_folder_is_refused(folder):
    (folder / "genotypes").write_text("")
    with pytest.raises(InputError, match="genotypes: is a file, a folder is expected"):
        check_run_folder(folder)
    with pytest.raises(InputError, match=r"config\.yaml: is a file, a folder is expected"):
        check_run_folder(folder / "config.yaml")


@pytest.fixture
def deep(folder, monkeypatch):
    """1,200 nested folders, removed again: pytest's own cleaning up would exceed Python's stack."""
    monkeypatch.chdir(folder)
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    yield
    subprocess.run(["rm", "-rf", folder / "d"], check=True, cwd=folder)


@pytest.mark.usefixtures("deep")
def test_deep_nesting_is_refused(folder):
    with pytest.raises(InputError, match="nested deeper than 8 folders"):
        check_run_folder(folder)


def test_names_that_no_file_has():
    for name in ("x" * 300, "nul\0byte"):
        with pytest.raises(InputError, match="cannot be read") as info:
            check_run_folder(Path(name))
        assert str(info.value).isprintable()
