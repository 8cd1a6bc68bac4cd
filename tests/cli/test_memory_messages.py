"""Memory messages: the estimate before a run, and advice after running out of memory."""

import sys

import pytest
import torch

from nas.cli import memory_messages
from nas.search import loop as engine
from nas.storage.checkpoint import load_checkpoint
from nas.train import loop as training

SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("could not create a primitive"),
    MemoryError(),
]


def failing_at(number, error, step):
    """Return ``step``, but raise ``error`` in the ``number``-th call."""
    calls = []

    def fail(*arguments):
        calls.append(1)
        if len(calls) == number:
            raise error
        return step(*arguments)

    return fail


def test_the_estimate_is_printed_before_the_run(search):
    (line,) = [line for line in search().out.splitlines() if line.startswith("memory: ")]
    assert "needed at batch size 16, " in line
    assert line.endswith(" available")


def test_a_warning_names_settings_that_would_fit(search, monkeypatch):
    monkeypatch.setattr(memory_messages, "free_memory", lambda device: 2**20)
    code, _, complaints = search("batch_size=32", "epochs=1")
    assert (code, len(complaints)) == (0, 1)
    assert complaints[0].startswith("warning: memory: about ")
    assert "needed at batch size 32, 1 MiB available; would fit: batch_size=" in complaints[0]


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__)
def test_out_of_memory_in_a_search(error, search, run, elsewhere, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(engine, "weight_step", failing_at(3, error, engine.weight_step))  # in the second epoch
        code, _, complaints = search("epochs=2", "run.dir=a")
    assert (code, len(complaints)) == (2, 1)
    settings = "batch_size=16, channels=2, cells=3, order=1, execution=fused, precision=fp32, grad_checkpoint=false"
    for part in (
        settings,
        "would fit by the estimate: batch_size=",
        "grad_checkpoint=true",
        "the last checkpoint is kept",
        "resume with: ",
        "resume=a grad_checkpoint=true; other sizes",
    ):
        assert part in complaints[0]
    assert load_checkpoint(elsewhere / "a/checkpoint.pt")["epoch"] == 1
    assert run("resume=a", "grad_checkpoint=true").code == 0
    assert (elsewhere / "a/result.json").exists()


def test_other_errors_are_raised_unchanged(search, monkeypatch):
    monkeypatch.setattr(engine, "weight_step", failing_at(1, RuntimeError("shapes differ"), engine.weight_step))
    with pytest.raises(RuntimeError, match="shapes differ"):
        search()


def test_out_of_memory_in_a_retraining(elsewhere, ended, monkeypatch):
    from nas.cli.retrain import main

    words = ["channels=4", "cells=3", "batch_size=16", "epochs=1", "threads=1", "run.dir=b"]
    command = ["retrain.py", "cell=darts_v2", "data=digits", "data.limit=64", *words]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(training, "train_step", failing_at(1, SHORTAGES[0], training.train_step))
    code, _, complaints = ended(main)
    assert (code, len(complaints)) == (2, 1)
    sizes = "batch_size=16, channels=4, cells=3, execution=fused, precision=fp32"
    assert f"not enough memory for {sizes}; " in complaints[0]
    assert "resume=b" in complaints[0]


@pytest.mark.parametrize("ask", [lambda: torch.empty(2**60, dtype=torch.uint8), lambda: bytearray(2**60)])
def test_allocations_that_the_system_refuses(ask, search, monkeypatch):  # no address space is as large as that
    monkeypatch.setattr(engine, "weight_step", lambda *arguments: ask())
    code, _, complaints = search("run.dir=c")
    assert (code, len(complaints)) == (2, 1)
    assert complaints[0].startswith("error: not enough memory for batch_size=16, ")
    assert "there is no checkpoint yet" in complaints[0]
