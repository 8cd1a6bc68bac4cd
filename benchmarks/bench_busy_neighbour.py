"""The search step on an idle machine and beside a busy process, by how OpenMP's threads wait for each other.

    python benchmarks/bench_busy_neighbour.py                # C=16, 8 cells, batch 64, darts: some minutes
    python benchmarks/bench_busy_neighbour.py --batch 16 --rounds 5

Each setting has a process of its own, since OpenMP reads it once; steps take turns, so that noise meets all alike.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

WORKER = Path(__file__).parent / "step_worker.py"
SETTINGS = {  # variables of the environment; GOMP_SPINCOUNT is that of GNU's OpenMP, which torch's wheels use
    "torch's default": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "spin 1,000": {"GOMP_SPINCOUNT": "1000"},
    "spin 10,000": {"GOMP_SPINCOUNT": "10000"},
    "spin 100,000": {"GOMP_SPINCOUNT": "100000"},
}
BUSY = "while True: pass"


class Worker:
    """A process that takes a step for each line on its input."""

    def __init__(self, case: dict[str, object], variables: dict[str, str]) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_", "MKL_NUM"))}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), "--case", json.dumps(case)],
            env={**kept, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def step(self) -> float:
        """Take a step; return its seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> float:
        assert self.process.stdout is not None
        return float(json.loads(self.process.stdout.readline())["seconds"])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="darts")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="of one step for each setting, idle and loaded")
    options = parser.parse_args()
    case = {"space": options.space, "channels": 16, "cells": 8, "batch": options.batch, "device": "cpu", "order": 1}
    case |= {"threads": None, "step": None}
    workers = {name: Worker(case, variables) for name, variables in SETTINGS.items()}
    seconds: dict[bool, dict[str, list[float]]] = {busy: {name: [] for name in SETTINGS} for busy in (False, True)}
    for number in range(options.rounds):
        for busy in (False, True):
            neighbour = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
            try:
                for name, worker in workers.items():
                    seconds[busy][name].append(worker.step())
            finally:
                if neighbour is not None:
                    neighbour.kill()
                    neighbour.wait()
        sys.stderr.write(f"round {number + 1} of {options.rounds}\n")
    print(f"{'':<18}{'idle, s':>24}{'one busy process, s':>28}")
    for name in SETTINGS:
        cells = [statistics.quantiles(seconds[busy][name], n=4) for busy in (False, True)]
        print(f"{name:<18}", *(f"{mid:>12.2f} ({low:.2f}-{high:.2f})" for low, mid, high in cells))
    for worker in workers.values():
        worker.process.kill()


if __name__ == "__main__":
    main()
