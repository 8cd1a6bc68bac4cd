"""The alphas' learning rate of ``preset=quick``: runs by docs/quick-preset/protocol.md, and their table.

python benchmarks/quick_alphas_rate.py               make the missing runs, one at a time, and write the table
python benchmarks/quick_alphas_rate.py --collect     write the table of the finished runs
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

import nas
from nas.reports.alpha_evolution import read_alpha_evolution

ROOT = Path(__file__).parents[1]
RATES = ("3e-4", "1e-3", "3e-3", "1e-2", "3e-2")
SEEDS = (0, 1, 2, 3)
COMMON = ("data=digits", "preset=quick", "threads=1")


def main() -> None:
    """Make the missing runs, unless only the table is asked for, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/quick-preset"))
    parser.add_argument("--collect", action="store_true")
    options = parser.parse_args()
    if not options.collect:
        for seed in SEEDS:
            for rate in RATES:
                make_pair(options.folder, rate, seed)
    print(table(options.folder))


def make_pair(folder: Path, rate: str, seed: int) -> None:
    """Search and retrain with ``rate`` and ``seed``, unless this is done."""
    search, retrain = pair(folder, rate, seed)
    run("search.py", search, "space=darts+sandglass", f"alphas.lr={rate}", f"seed={seed}")
    run("retrain.py", retrain, f"cell={search / 'genotype.yaml'}", f"seed={seed}")


def run(program: str, folder: Path, *settings: str) -> None:
    """Run ``program`` in ``folder`` or resume it, unless it has finished; note both in ``started.txt``."""
    if (folder / "result.json").exists():
        return
    words = [sys.executable, str(ROOT / program), *settings, *COMMON, f"run.dir={folder}", "resume=true"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parents[1] / "started.txt").open("a") as started:
        print("start", folder, file=started, flush=True)
        code = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        print("end", folder, "with exit code", code, file=started, flush=True)


def pair(folder: Path, rate: str, seed: int) -> tuple[Path, Path]:
    """Return the folders of a search and of the retraining of its cell."""
    place = folder / f"lr{rate}-seed{seed}"
    return place / "search", place / "retrain"


def table(folder: Path) -> str:
    """Return a Markdown table with a row per rate, of the finished runs."""
    rows = [
        "| alphas.lr | runs | agreement | changed | lead | skips | accuracy % (each seed) |",
        "|---|---|---|---|---|---|---|",
    ]
    for rate in RATES:
        places = [pair(folder, rate, seed) for seed in SEEDS]
        runs = [figures(*place) for place in places if (place[1] / "result.json").exists()]
        if runs:
            rows.append(row(rate, runs))
    return "\n".join(rows)


def row(rate: str, runs: list[dict[str, Any]]) -> str:
    """Return the row of one rate."""
    shares = [(one["picks"] & two["picks"]).total() / one["picks"].total() for one, two in combinations(runs, 2)]
    means = {name: mean(run[name] for run in runs) for name in ("changed", "lead", "skips", "accuracy")}
    each = ", ".join(f"{100 * run['accuracy']:.1f}" for run in runs)
    agreement = f"{mean(shares):.2f}" if shares else "–"
    numbers = (
        f"{means['changed']:.2f} | {means['lead']:.4f} | {means['skips']:.1f} | {100 * means['accuracy']:.1f} ({each})"
    )
    return f"| {rate} | {len(runs)} | {agreement} | {numbers} |"


def figures(search: Path, retrain: Path) -> dict[str, Any]:
    """Return the figures of one search and retraining, computed from their files alone."""
    evolution = read_alpha_evolution(search)
    epoch = max(evolution.strengths)
    now, before = (picks(search / f"genotypes/epoch-{number:03d}.yaml") for number in (epoch, epoch - 1))
    columns = [k for k, operator in enumerate(evolution.space.operators) if operator != "none"]
    leads = []
    for kind, node, _, source in now:
        strengths = np.sort(evolution.strengths[epoch][kind][evolution.space.edges.index((node, source))][columns])
        leads.append(strengths[-1] - strengths[-2])
    return {
        "picks": now,
        "changed": 1 - (now & before).total() / now.total(),
        "lead": float(np.mean(leads)),
        "skips": sum(operator == "skip_connect" for _, _, operator, _ in now),
        "accuracy": json.loads((retrain / "result.json").read_text())["test_accuracy"],
    }


def picks(path: Path) -> Counter[tuple[str, int, str, int]]:
    """Return the picks of a genotype file: kind of cell, node, operator, source."""
    genotype = nas.load_genotype(path)
    nodes = ((kind, number, edges) for kind in genotype.kinds for number, edges in genotype.nodes(kind))
    return Counter((kind, number, operator, source) for kind, number, edges in nodes for operator, source in edges)


if __name__ == "__main__":
    main()
