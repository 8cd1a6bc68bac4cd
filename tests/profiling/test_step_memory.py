"""The predicted memory of a search against that of a process, and against the counted bytes of its steps."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nas
from nas.profiling.step_memory import MemoryEstimate, MemoryTask, predict_memory, settings_that_fit
from nas.profiling.tensor_memory import TensorMemory
from nas.runtime.available_memory import available_memory
from tests.helpers.search_settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def task():
    return MemoryTask(nas.load_space("tiny"), (3, 8, 8), 10, 100, CPU)


def test_against_the_memory_of_a_process():
    sizes = {"space": "tiny", "method": "darts", "channels": 8, "cells": 3, "batch": 128, "order": 1}
    case = json.dumps({**sizes, "precision": "fp32", "execution": "fused", "grad_checkpoint": "off"})
    command = [sys.executable, str(ROOT / "benchmarks/bench_search_memory.py"), "--threads", "1", "--case", case]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(Path.home())}
    results = {}
    for words in ([], ["--predict"]):
        run = subprocess.run([*command, *words], capture_output=True, text=True, check=True, env=environment)
        results |= json.loads(run.stdout)
    assert results["measured"] > 50 * 2**20
    assert 0.6 < results["predicted"] / results["measured"] < 1.4


def test_only_live_tensors_are_counted():
    with TensorMemory() as memory:
        a = torch.zeros(1000)
        b = a[:10] + 1  # the view allocates nothing
        del a
        c = torch.zeros(500)
    assert memory.moments == [4000, 4040, 2040]
    assert len(b) + len(c) == 510


def test_every_moment_is_linear_in_the_batch_size():
    estimate = MemoryEstimate(torch.tensor([100.0, 0.0]), torch.tensor([1.0, 10.0]))
    assert [estimate.bytes(batch) for batch in (1, 20)] == [101, 200]
    assert [estimate.largest_batch(memory) for memory in (50, 105, 111, 1000)] == [0, 5, 11, 100]


@pytest.mark.parametrize("execution", ["fused", "reference"])
def test_checkpointing_needs_less_and_the_largest_batch_fits(task, execution):
    settings = replace(SETTINGS, execution=execution, batch_size=64)
    stored, recomputed = predict_memory(task, settings), predict_memory(task, replace(settings, grad_checkpoint=True))
    assert recomputed.bytes(64) < 0.8 * stored.bytes(64)
    memory = recomputed.bytes(64)
    largest = stored.largest_batch(memory)
    assert stored.bytes(largest) <= memory < stored.bytes(largest + 1)
    fitting = settings_that_fit(task, settings, stored, memory)
    assert fitting[:2] == [f"batch_size={largest}", "grad_checkpoint=true"]


def test_the_random_state_stays(task):
    before = torch.get_rng_state()
    predict_memory(task, SETTINGS)
    assert torch.equal(torch.get_rng_state(), before)


def test_available_memory_of_the_system_and_its_control_groups(tmp_path):
    """The minimum over the system and both versions of control groups, whose reclaimable page cache is available."""
    files = {
        "proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 5000 kB\n",
        "proc/self/cgroup": "0::/a/b\n4:memory:/c\n",
        "sys/fs/cgroup/a/memory.max": "3000000\n",
        "sys/fs/cgroup/a/memory.current": "1000000\n",
        "sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 500000\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/b/memory.current": "10\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == 2500000
    (tmp_path / "sys/fs/cgroup/memory/c").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory/c/memory.limit_in_bytes").write_text("700")
    (tmp_path / "sys/fs/cgroup/memory/c/memory.usage_in_bytes").write_text("300")
    assert available_memory(tmp_path) == 400
    assert available_memory(tmp_path / "elsewhere") is None or available_memory(tmp_path / "elsewhere") > 0
