"""The cached library of kernels: nothing that others could have written is loaded, and damaged files are rebuilt.

A script that copies a small library takes the compiler's place, so that a build takes no time.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from nas.kernels import build, native
from nas.kernels.build import load_library
from nas.kernels.convolution import convolve

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="no compiler here")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")


@pytest.fixture(scope="module")
def small_library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    source, library = folder / "small.c", folder / "small.so"
    source.write_text("int small(void) { return 7; }\n")
    subprocess.run(["c++", "-x", "c", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return library


@pytest.fixture
def cache(tmp_path, monkeypatch, small_library):
    """Return the cache folder of builds by a compiler that copies a small library and counts its calls."""
    compiler = tmp_path / "compiler"
    compiler.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
while [ "$1" != -o ]; do shift; done
exec cp {small_library} "$2"
"""
    )
    compiler.chmod(0o755)
    monkeypatch.delenv("NAS_KERNELS", raising=False)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    load_library.cache_clear()
    yield tmp_path / "cache" / "nas-superops"
    load_library.cache_clear()


def load():
    """Load as a new process would, and return the remark."""
    load_library.cache_clear()
    library, remark = load_library()
    assert library is not None, remark
    assert library.small() == 7
    return remark


def builds(cache):
    calls = cache.parent.parent / "calls"
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def only_file(cache):
    (path,) = cache.iterdir()
    return path


def test_a_library_is_built_once(cache):
    assert load() == load() == ""
    assert builds(cache) == 1
    path = only_file(cache)
    assert path.stem.endswith(hashlib.sha256(path.read_bytes()).hexdigest())
    assert path.stat().st_mode & 0o777 == cache.stat().st_mode & 0o777 == 0o700


def test_an_open_umask_leaves_the_library_private(cache):
    before = os.umask(0)
    try:
        load()
    finally:
        os.umask(before)
    assert only_file(cache).stat().st_mode & 0o022 == 0


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "one byte", "another machine's"])
def test_a_damaged_library_is_rebuilt(cache, damage):
    load()
    path = only_file(cache)
    whole = path.read_bytes()
    path.unlink()  # loaded above: its memory is that of the file
    content = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"no library",
        "one byte": whole[:-1] + bytes([whole[-1] ^ 1]),
        "another machine's": whole[:18] + b"\xff\xff" + whole[20:],
    }[damage]
    path.write_bytes(content)
    path.chmod(0o700)
    assert load() == ""
    assert builds(cache) == 2
    assert only_file(cache).read_bytes() == whole


def test_a_library_with_its_digest_that_does_not_load_is_rebuilt(cache):
    load()
    path = only_file(cache)
    path.unlink()
    content = b"\x7fELF" + bytes(100)
    foreign = path.with_name(f"{path.stem.rpartition('-')[0]}-{hashlib.sha256(content).hexdigest()}.so")
    foreign.write_bytes(content)
    foreign.chmod(0o700)
    assert load() == ""
    assert not foreign.exists()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_folder_that_others_can_write_to_is_emptied_and_closed(cache, mode):
    load()
    cache.chmod(mode)
    assert load() == ""
    assert builds(cache) == 2
    assert cache.stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_a_library_that_others_can_write_to_is_rebuilt(cache, mode):
    load()
    only_file(cache).chmod(mode)
    load()
    assert builds(cache) == 2
    assert only_file(cache).stat().st_mode & 0o022 == 0


@ROOT
def test_a_library_of_another_user_is_rebuilt(cache):
    load()
    os.chown(only_file(cache), 12345, 12345)
    load()
    assert builds(cache) == 2
    assert only_file(cache).stat().st_uid == os.geteuid()


@ROOT
def test_a_folder_of_another_user_is_not_used(cache):
    load()
    os.chown(cache, 12345, 12345)
    planted = only_file(cache)
    assert f"{cache}: belongs to another user (uid 12345)" in load()
    assert builds(cache) == 2
    assert planted.exists()
    assert list(Path(tempfile.gettempdir()).iterdir()) == []  # built for this process alone


def test_a_folder_that_everyone_can_replace_is_not_used(cache):
    cache.parent.mkdir()
    cache.parent.chmod(0o777)
    assert f"{cache.parent}: everyone can replace" in load()
    cache.parent.chmod(0o1777)
    assert load() == ""


def test_links_are_not_followed(cache):
    load()
    path = only_file(cache)
    target = path.rename(cache.parent / "target.so")
    path.symlink_to(target)
    assert load() == ""
    assert builds(cache) == 2
    assert not path.is_symlink()
    cache.rename(cache.parent / "elsewhere")
    cache.symlink_to(cache.parent / "elsewhere")
    assert load().startswith("built for this process alone: ")
    assert builds(cache) == 3


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_not_read(cache, kind):
    load()
    path = only_file(cache)
    path.unlink()
    (os.mkfifo if kind == "pipe" else os.mkdir)(path)
    load()
    assert builds(cache) == 2


def test_a_file_in_place_of_the_folder(cache):
    cache.parent.mkdir()
    cache.write_text("")
    assert load().startswith("built for this process alone: ")


def test_without_a_home_directory(cache, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert load() == "built for this process alone: Could not determine home directory."


def test_a_relative_cache_folder_is_ignored(cache, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    load()
    assert not Path("relative").exists()
    assert (tmp_path / "home" / ".cache" / "nas-superops").is_dir()


def test_what_killed_builds_left_is_removed(cache):
    load()
    old, new = cache / ".building-old", cache / ".building-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "kernels.so").write_bytes(b"half")
    long_ago = time.time() - 10_000
    os.utime(old, (long_ago, long_ago))
    only = next(cache.glob("*.so"))
    only.unlink()
    load()
    assert not old.exists()
    assert new.exists()


def test_extra_flags_are_part_of_the_identity(cache, monkeypatch):
    load()
    monkeypatch.setenv("NAS_KERNELS_FLAGS", "-DEXTRA=1 -g")
    load()
    assert len(list(cache.glob("*.so"))) == 2
    assert "-DEXTRA=1 -g" in (cache.parent.parent / "calls").read_text()


def test_apple_clang_gets_no_openmp(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "-fopenmp" not in build._flags()
    monkeypatch.setattr(sys, "platform", "linux")
    assert "-fopenmp" in build._flags()


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("NAS_KERNELS", "off", "NAS_KERNELS=off"),
        ("CXX", "no-such-compiler", "no-such-compiler"),
        ("CXX", "false", "false failed"),
        ("CXX", "'unbalanced", "No closing quotation"),
        ("NAS_KERNELS_FLAGS", "'unbalanced", "No closing quotation"),
    ],
)
def test_without_a_compiler_torch_is_used(variable, value, reason, monkeypatch, cache):
    monkeypatch.setenv(variable, value)
    library, remark = load_library()
    assert library is None
    assert reason in remark
    assert not native.supported(torch.zeros(1, 1, 1, 1))
    layer = nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False)
    convolve(layer, torch.randn(1, 4, 5, 5)).sum().backward()
    assert layer.weight.grad is not None


def test_a_compiler_that_makes_no_library(cache, monkeypatch):
    monkeypatch.setenv("CXX", "true")
    assert load_library()[0] is None


def test_the_sources_compile_without_openmp(tmp_path):
    """The sources are valid for a compiler without OpenMP, such as Apple's clang; nothing is generated."""
    command = ["c++", "-std=c++17", "-fsyntax-only", "-Wall", "-Wno-unknown-pragmas", "-Wno-psabi", "-Werror"]
    subprocess.run([*command, *map(str, build._SOURCES)], check=True)


def test_a_real_library_has_all_functions():
    library, remark = load_library()
    if library is None:
        pytest.skip(remark)
    for name in native.SIGNATURES:
        for suffix in native._SUFFIXES.values():
            assert isinstance(getattr(library, f"{name}_{suffix}"), ctypes._CFuncPtr)
