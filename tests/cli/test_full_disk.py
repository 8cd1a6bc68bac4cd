"""A full disk, then a read-only one: one line each, and the files stay intact."""

import shutil
import subprocess
import sys

import pytest

from nas.runtime.metrics_log import read_metrics
from tests.helpers.command_lines import ROOT, TINY
from tests.helpers.runs import same_alphas

DISK = """
set -e
mount -t tmpfs -o size="$1" none disk
shift
"$@" run.dir=disk/run 2> full || echo $? > full.code
cp -r disk/run kept
mount -o remount,ro disk
"$1" "$2" resume=disk/run 2> readonly || echo $? > readonly.code
"""
UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]  # a private mount, also without root


def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="private mounts (unshare) are not allowed here")
@pytest.mark.slow
def test_full_disk_and_read_only_disk(run, elsewhere, child_environment):
    (elsewhere / "disk").mkdir()
    words = [sys.executable, str(ROOT / "search.py"), *TINY, "epochs=3"]
    ended = subprocess.run(
        [*UNSHARE, "sh", "-c", DISK, "sh", "850k", *words], env=child_environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    for name, why in (("full", "No space left on device"), ("readonly", "Read-only file system")):
        assert (elsewhere / f"{name}.code").read_text() == "2\n"
        lines = [line for line in (elsewhere / name).read_text().splitlines() if not line.startswith("epoch ")]
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: disk/run/")
        assert f"cannot be written ({why})" in lines[0]
    assert not [path for path in (elsewhere / "kept").rglob("*") if path.name == "lock" or path.suffix == ".tmp"]
    assert run("resume=kept").code == 0
    assert run(*TINY, "epochs=3", "run.dir=whole").code == 0
    assert same_alphas(elsewhere / "kept", elsewhere / "whole")
    assert [row["epoch"] for row in read_metrics(elsewhere / "kept/metrics.jsonl")] == [1, 2, 3]
