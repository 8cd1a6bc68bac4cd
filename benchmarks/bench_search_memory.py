"""Measured and predicted peak memory of a search: each case in a separate process, on a CPU.

    python benchmarks/bench_search_memory.py                               darts, C=8, 5 cells, batch 64
    python benchmarks/bench_search_memory.py --channels 16 --cells 8 --order 1 --grad-checkpoint off on --save
    python benchmarks/bench_search_memory.py --channels 16 --cells 8 --order 1 --execution fused \
        --method darts gdas pc_darts

The measured peak is the largest resident memory of a process that takes two alpha and two weight steps on random
images of CIFAR's size, minus what it used before it built the network (torch loaded, a tiny search run). Prints a
table with the seconds of the second pair of steps; ``--save`` writes it to ``benchmarks/results/``.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from timing import paper_settings, random_batch, save, set_threads

import nas
from nas.models.supernet import EXECUTIONS
from nas.profiling.step_memory import MemoryTask, predict_memory
from nas.search.settings import SearchSettings
from nas.search.state import init_search_state
from nas.search.steps import alpha_step, weight_step

CPU = torch.device("cpu")
GIB = 2**30
CASE = ("space", "method", "channels", "cells", "batch", "order", "precision", "execution", "grad_checkpoint")


def main() -> None:
    """Measure the cases of the command line and print a table."""
    options = _parser().parse_args()
    set_threads(options)
    if options.case is not None:
        case = json.loads(options.case)
        print(json.dumps(predicted(case) if options.predict else measured(case)))
        return
    rows = []
    print(f"{' '.join(CASE)} | predicted GiB | measured GiB | predicted / measured | s")
    for values in itertools.product(*(getattr(options, name) for name in CASE)):
        case = dict(zip(CASE, values, strict=True))
        row = {**case, **_child(case, options, "--predict"), **_child(case, options)}
        rows.append(row)
        shown = f"{row['predicted'] / GIB:.2f} | {row['measured'] / GIB:.2f}"
        ratio = row["predicted"] / row["measured"]
        print(f"{' '.join(map(str, values))} | {shown} | {ratio:.2f} | {row['seconds']:.1f}", flush=True)
    if options.save is not None:
        save("search_memory", options, rows)


def predicted(case: dict[str, Any]) -> dict[str, float]:
    """Return the predicted bytes, and the seconds that the prediction takes."""
    task, start = MemoryTask(nas.load_space(case["space"]), (3, 32, 32), 10, 0, CPU), time.perf_counter()
    return {
        "predicted": predict_memory(task, _settings(case)).bytes(case["batch"]),
        "predicting": time.perf_counter() - start,
    }


def measured(case: dict[str, Any]) -> dict[str, float]:
    """Return the bytes by which the process grows, and the seconds of a pair of steps."""
    _steps({**case, "space": "tiny", "channels": 4, "cells": 3, "batch": 2})
    before = _peak()
    spent = _steps(case)
    return {"measured": _peak() - before, "seconds": spent}


def _steps(case: dict[str, Any]) -> float:
    settings, start = _settings(case), 0.0
    state = init_search_state(nas.load_space(case["space"]), settings, 10, CPU)
    state.supernet.train()
    for _ in range(2):
        train, valid = random_batch(case["batch"], CPU), random_batch(case["batch"], CPU)
        start = time.perf_counter()
        alpha_step(state, settings, train, valid, 0.025)
        weight_step(state, settings, train, 0.025)
    return time.perf_counter() - start


def _settings(case: dict[str, Any]) -> SearchSettings:
    return paper_settings(
        method=case["method"],
        batch_size=case["batch"],
        channels=case["channels"],
        cells=case["cells"],
        order=case["order"],
        precision=case["precision"],
        execution=case["execution"],
        grad_checkpoint=case["grad_checkpoint"] == "on",
    )


def _peak() -> int:
    """Return the peak in bytes, from Linux if possible: ``ru_maxrss`` includes the peak of the parent process."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _child(case: dict[str, Any], options: argparse.Namespace, *words: str) -> dict[str, float]:
    threads = [] if options.threads is None else ["--threads", str(options.threads)]
    command = [sys.executable, str(Path(__file__)), "--case", json.dumps(case), *threads, *words]
    reply: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return reply


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", nargs="+", default=["darts"])
    parser.add_argument("--method", nargs="+", default=["darts"])
    parser.add_argument("--channels", type=int, nargs="+", default=[8])
    parser.add_argument("--cells", type=int, nargs="+", default=[5])
    parser.add_argument("--batch", type=int, nargs="+", default=[64])
    parser.add_argument("--order", type=int, nargs="+", default=[1, 2], choices=[1, 2])
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=["fp32", "bf16"])
    parser.add_argument("--execution", nargs="+", default=list(EXECUTIONS), choices=EXECUTIONS)
    parser.add_argument("--grad-checkpoint", nargs="+", default=["off"], choices=["off", "on"])
    parser.add_argument("--threads", type=int, help="CPU threads; default: torch's choice")
    parser.add_argument("--save", nargs="?", const="", metavar="LABEL", help="write benchmarks/results/…-LABEL.json")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--predict", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
