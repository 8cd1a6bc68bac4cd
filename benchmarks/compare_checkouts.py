"""Seconds per search step of two checkouts, paired: one process each, steps by turns, the ratio of every pair.

    git worktree add ../base v1.0
    python benchmarks/compare_checkouts.py --base ../base --new . --space darts darts+sandglass --order 1 2

A step computes the alpha and the weight gradients on fixed batches (``benchmarks/step_worker.py``); ``--step FILE``
takes ``make_step`` from a file instead. A busy moment of the machine slows both steps of a pair, so the median of the
ratios is steadier than the ratio of the medians; the ratios of CPU time also leave out the time that other processes
took. "same bits" says if both checkouts computed identical gradients. ``--save`` writes the ratios with date and
hardware under ``benchmarks/results/``.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timing import save, shown, summary

WORKER = Path(__file__).with_name("step_worker.py")
SIDES = ("base", "new")


class Worker:
    """A process that takes steps with the package of one checkout, one for each call."""

    def __init__(self, checkout: Path, case: Mapping[str, Any]) -> None:
        path = os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), "--case", json.dumps(case)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": path},
        )
        first = self._read()
        if not Path(first["package"]).resolve().is_relative_to(checkout):
            raise SystemExit(f"{checkout}: the worker imported {first['package']} instead")

    def step(self) -> dict[str, Any]:
        """Take a step; return its seconds and the digest of its gradients."""
        assert self._process.stdin is not None
        self._process.stdin.write("step\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the worker ended early, with exit code {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        return reply


def main() -> None:
    """Compare the two checkouts in every case of the command line and print a line for each."""
    options = _parser().parse_args()
    checkouts = {side: Path(getattr(options, side)).resolve() for side in SIDES}
    print(f"C={options.channels}, {options.cells} cells, batch {options.batch}, {options.device}")
    print(f"{'space':>16} {'order':>5} {'base s':>22} {'new s':>22} {'new / base':>22} {'CPU time':>22} same bits")
    rows = []
    for space, order in itertools.product(options.space, options.order):
        row = compare(checkouts, _case(options, space, order), options.repeats, options.warmup)
        rows.append(row)
        cells = " ".join(f"{shown(row[key]):>22}" for key in (*SIDES, "ratio", "cpu_ratio"))
        print(f"{space:>16} {order:>5} {cells} {'yes' if row['same_bits'] else 'NO'}", flush=True)
    if options.save is not None:
        for side, checkout in checkouts.items():  # the saved file names commits, not folders
            setattr(options, side, _commit(checkout))
        save("compare_checkouts", options, rows)


def compare(checkouts: Mapping[str, Path], case: Mapping[str, Any], repeats: int, warmup: int) -> dict[str, Any]:
    """Return the seconds of both sides and the ratios new / base of ``repeats`` pairs, after ``warmup`` pairs.

    The side that goes first alternates from pair to pair.
    """
    workers = {side: Worker(checkout, case) for side, checkout in checkouts.items()}
    pairs = []
    for number in range(-warmup, repeats):
        order = SIDES if number % 2 else SIDES[::-1]
        pair = {side: workers[side].step() for side in order}
        pairs += [pair] if number >= 0 else []
    for worker in workers.values():
        worker.close()
    seconds = {side: [pair[side]["seconds"] for pair in pairs] for side in SIDES}
    ratios, cpu_ratios = (
        [pair["new"][key] / pair["base"][key] for pair in pairs] for key in ("seconds", "cpu_seconds")
    )
    return {
        "space": case["space"],
        "order": case["order"],
        **{side: summary(values) for side, values in seconds.items()},
        "ratio": summary(ratios),
        "cpu_ratio": summary(cpu_ratios),
        "ratios": ratios,
        "cpu_ratios": cpu_ratios,
        "same_bits": all(pair["base"]["digest"] == pair["new"]["digest"] for pair in pairs),
    }


def _case(options: argparse.Namespace, space: str, order: int) -> dict[str, Any]:
    sizes = {name: getattr(options, name) for name in ("channels", "cells", "batch", "threads", "device")}
    step = None if options.step is None else str(Path(options.step).resolve())
    return {"space": space, "order": order, "step": step, **sizes}


def _commit(checkout: Path) -> str:
    git = ["git", "-C", str(checkout)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    changes = subprocess.run([*git, "status", "--porcelain", "-uno"], check=True, capture_output=True).stdout
    return head + ("+changes" if changes else "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, metavar="DIR", help="the checkout to compare with")
    parser.add_argument("--new", default=".", metavar="DIR", help="the checkout in question; default: %(default)s")
    parser.add_argument("--space", nargs="+", default=["darts", "darts+sandglass"])
    parser.add_argument("--order", type=int, nargs="+", default=[1, 2], choices=[1, 2])
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7, help="pairs of steps")
    parser.add_argument("--warmup", type=int, default=1, help="pairs before them that do not count")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each process; default: %(default)s")
    parser.add_argument("--step", metavar="FILE", help="a Python file whose make_step(case) returns the step to time")
    parser.add_argument("--save", nargs="?", const="", metavar="LABEL", help="write benchmarks/results/…-LABEL.json")
    return parser


if __name__ == "__main__":
    main()
