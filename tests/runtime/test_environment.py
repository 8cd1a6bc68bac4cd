"""Environment records, shipped folders and seeds."""

import datetime
import json
import subprocess

import pytest
import torch

from nas.core import paths
from nas.core.paths import shipped_folder
from nas.core.seeding import derive_seed
from nas.core.version import __version__
from nas.runtime import environment as module
from nas.runtime.environment import LIBRARIES, environment, git_commit, utc_now


def test_the_environment_is_plain_data():
    record = environment()
    assert json.loads(json.dumps(record)) == record
    assert record["nas"] == __version__
    assert record["torch"] == torch.__version__
    assert record["threads"] == torch.get_num_threads()
    assert all(record[library] for library in LIBRARIES)
    assert record["processor"]


def test_utc_now_has_whole_seconds():
    time = datetime.datetime.fromisoformat(utc_now())
    assert time.utcoffset() == datetime.timedelta(0)
    assert time.microsecond == 0
    assert abs(datetime.datetime.now(datetime.UTC) - time) < datetime.timedelta(seconds=5)


def commit_of(folder, monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", folder)
    return git_commit()


def test_the_commit_records_changed_files(tmp_path, monkeypatch):
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    package = tmp_path.resolve() / "nas"
    package.mkdir()
    (package / "a.py").write_text("1")
    git("init")
    assert commit_of(package, monkeypatch) is None  # no commit yet
    git("add", ".")
    git("commit", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert commit_of(package, monkeypatch) == head
    (package / "b.py").write_text("not tracked")
    assert commit_of(package, monkeypatch) == head
    (package / "a.py").write_text("2")
    assert commit_of(package, monkeypatch) == f"{head}+changes"


def test_no_commit_outside_a_clone(tmp_path, monkeypatch):
    assert commit_of(tmp_path, monkeypatch) is None


def test_no_commit_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None


@pytest.mark.parametrize("name", ["conf", "search_spaces", "cells"])
def test_shipped_folders_of_a_clone_and_of_a_wheel(name, tmp_path, monkeypatch):
    assert any(shipped_folder(name).glob("*.yaml"))
    package = tmp_path / "nas"
    monkeypatch.setattr(paths, "PACKAGE", package)
    assert shipped_folder(name) == tmp_path / name
    (package / "_shared" / name).mkdir(parents=True)
    assert shipped_folder(name) == package / "_shared" / name


def test_seeds_are_independent_and_reproducible():
    assert derive_seed(0, "weights") == derive_seed(0, "weights")
    parts = [(0, "a", "b"), (0, "ab"), (0, "a"), (1, "a"), (0, "a", 1), (0, "a", "1"), (0, "a", 1, 0), (0,)]
    seeds = [derive_seed(*part) for part in parts]
    assert len(set(seeds)) == len(parts)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(0, "train", "order", 0) == 328421686678626156
