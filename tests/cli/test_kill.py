"""SIGKILL within an epoch and a full disk: the resumed run ends like an undisturbed one."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.graph.zoo import load_genotype
from nas.runtime.deadline import Deadline
from nas.runtime.metrics_log import read_metrics
from nas.storage.checkpoint import load_checkpoint
from tests.helpers.command_lines import LONG, ROOT, TINY
from tests.helpers.processes import wait_until
from tests.helpers.runs import same_alphas


def test_sigkill_within_an_epoch(run, elsewhere, child_environment):
    killed = elsewhere / "killed"
    command = [sys.executable, str(ROOT / "search.py"), *LONG, f"run.dir={killed}"]
    with subprocess.Popen(command, env=child_environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        wait_until((killed / "checkpoint.pt").exists, process)
        time.sleep(0.2)  # some steps into the second epoch
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert load_checkpoint(killed / "checkpoint.pt")["epoch"] in (1, 2)
    assert not (killed / "result.json").exists()
    assert run(f"resume={killed}").code == 0
    assert run(*LONG, "run.dir=whole").code == 0
    assert same_alphas(killed, elsewhere / "whole")
    assert load_genotype(killed / "genotype.yaml") == load_genotype(elsewhere / "whole/genotype.yaml")
    assert [row["epoch"] for row in read_metrics(killed / "metrics.jsonl")] == [1, 2, 3]
    assert (killed / "alphas.jsonl").read_bytes() == (elsewhere / "whole/alphas.jsonl").read_bytes()
    assert not list(killed.rglob("*.tmp"))


@pytest.mark.parametrize("how", [[], ["resume=true"]])
def test_killed_while_writing_its_first_file(how, run, elsewhere):
    """The folder holds a part of ``config.yaml`` under a temporary name: the run has not started."""
    (elsewhere / "killed").mkdir()
    (elsewhere / "killed/.config.yaml.1234567.tmp").write_text("epo")
    assert run(*TINY, "run.dir=killed", *how).code == 0
    assert not list(elsewhere.rglob("*.tmp"))
    assert (elsewhere / "killed/result.json").exists()


def test_a_full_disk_at_the_second_checkpoint(run, elsewhere, monkeypatch):
    """The first one survives, and the run resumed from it ends the same."""
    written = []

    def full_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if name.startswith(".checkpoint.pt."):
            written.append(name)
            if len(written) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_fsync)
        code, _, complaints = run(*TINY, "epochs=2", "run.dir=full")
    assert (code, len(complaints)) == (2, 1)
    assert "full/checkpoint.pt: cannot be written (No space left on device)" in complaints[0]
    assert load_checkpoint(elsewhere / "full/checkpoint.pt")["epoch"] == 1
    assert not list((elsewhere / "full").rglob("*.tmp"))
    assert run("resume=full").code == 0
    assert run(*TINY, "epochs=2", "run.dir=whole").code == 0
    assert same_alphas(elsewhere / "full", elsewhere / "whole")


LIMITED = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_file_size_limit(elsewhere, child_environment):
    """TensorBoard's thread meets the limit first; it must not print a traceback."""
    command = [sys.executable, "-c", LIMITED, "100000", str(ROOT / "search.py"), *TINY, "run.dir=full"]
    ended = subprocess.run(command, env=child_environment, capture_output=True, text=True)
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("epoch ")]
    assert line.startswith("error: ")
    assert "cannot be written (File too large)" in line


def test_ctrl_c_prints_one_line(run, elsewhere, monkeypatch):
    def interrupted(deadline: Deadline) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Deadline, "reached", interrupted)
    code, _, complaints = run(*TINY)
    assert (code, len(complaints)) == (130, 1)
    assert "resume=" in complaints[0]
