"""Files removed during a run, and signals while the kernels are compiled."""

import os
import shutil
import signal

import pytest

from tests.helpers.command_lines import FOREVER, ROOT, TINY
from tests.helpers.processes import output_of, running, wait_until

COMPILER = """#!/bin/sh
touch "{folder}/compiling"
sleep 8
exit 1
"""


@pytest.mark.parametrize("removed", ["", "tensorboard", "metrics.jsonl"])
def test_files_removed_during_a_run_are_one_line(removed, elsewhere, child_environment):
    folder = elsewhere / "run"
    with running(child_environment, str(ROOT / "search.py"), *FOREVER, f"run.dir={folder}") as process:
        wait_until((folder / "checkpoint.pt").exists, process)
        if removed == "metrics.jsonl":
            (folder / removed).unlink()
        else:
            shutil.rmtree(folder / removed, ignore_errors=True)
            shutil.rmtree(folder / removed, ignore_errors=True)  # the run may have written in between
        _, complaints = output_of(process)
    assert (process.returncode, len(complaints)) == (2, 1), complaints
    assert complaints[0].startswith(f"error: {folder}")
    assert "No such file or directory" in complaints[0]


@pytest.mark.parametrize("group", [False, True])
def test_a_signal_during_the_build_of_the_kernels(group, elsewhere, child_environment):
    """It stops at once, sent to the process alone or to its group, as ``timeout`` and Ctrl-C send it."""
    compiler = elsewhere / "c++"
    compiler.write_text(COMPILER.format(folder=elsewhere))
    compiler.chmod(0o755)
    environment = {**child_environment, "CXX": str(compiler), "XDG_CACHE_HOME": str(elsewhere / "cache")}
    environment.pop("NAS_KERNELS", None)
    with running(environment, str(ROOT / "search.py"), *TINY, "execution=fused", "run.dir=run") as process:
        wait_until((elsewhere / "compiling").exists, process)
        (os.killpg if group else os.kill)(process.pid, signal.SIGTERM)
        _, complaints = output_of(process)
    assert process.returncode == 143
    assert len(complaints) == 1
    assert complaints[0].startswith("stopped by SIGTERM")
    assert not (elsewhere / "run").exists()  # the kernels are built before a run begins
    assert not list((elsewhere / "cache").rglob(".building-*"))
