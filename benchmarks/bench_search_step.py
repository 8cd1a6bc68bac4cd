"""Seconds per search step: the alpha step and the weight step of both orders, on random images of CIFAR's size.

    python benchmarks/bench_search_step.py                           C=16, 8 cells, batch 64, first and second order
    python benchmarks/bench_search_step.py --device cuda --precision fp32 bf16 --repeats 20

Prints a table of medians with the fastest and the slowest repeat; ``--save`` writes it with date and hardware under
``benchmarks/results/``.
"""

import argparse
import datetime
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

import nas
from nas.core.environment import environment
from nas.engine.device import choose_device
from nas.engine.search_state import SearchState, start_state
from nas.engine.settings import AlphaSettings, SearchSettings, WeightSettings
from nas.engine.steps import alpha_step, weight_step

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure what the command line asks for, and print it."""
    options = _parser().parse_args()
    device = choose_device(options.device)
    rows = [measure(options, order, precision, device) for precision in options.precision for order in options.order]
    print(f"{options.space}, C={options.channels}, {options.cells} cells, batch {options.batch}, {device}")
    print(f"{'order':>5} {'precision':>9} {'alpha step s':>22} {'weight step s':>22} {'both s':>22}")
    for row in rows:
        cells = [
            f"{row[k]['median']:.3f} ({row[k]['min']:.3f}–{row[k]['max']:.3f})" for k in ("alpha", "weight", "both")
        ]
        print(f"{row['order']:>5} {row['precision']:>9} " + " ".join(f"{cell:>22}" for cell in cells))
        if "peak_gib" in row:
            print(f"      peak GPU memory {row['peak_gib']:.2f} GiB")
    if options.save:
        save(options, rows)


def measure(options: argparse.Namespace, order: int, precision: str, device: torch.device) -> dict[str, Any]:
    """Medians and extremes of the seconds of both steps, after one warm-up of each."""
    settings = SearchSettings(
        epochs=50,
        batch_size=options.batch,
        channels=options.channels,
        cells=options.cells,
        order=order,
        train_fraction=0.5,
        seed=0,
        precision=precision,
        weights=WeightSettings(lr=0.025, lr_min=0.001, momentum=0.9, weight_decay=3e-4, clip_norm=5.0),
        alphas=AlphaSettings(lr=3e-4, beta1=0.5, beta2=0.999, weight_decay=1e-3),
    )
    state = start_state(nas.load_space(options.space), settings, 10, device)
    state.supernet.train()
    times: dict[str, list[float]] = {"alpha": [], "weight": []}
    for repeat in range(-options.warmup, options.repeats):
        train, valid = _batch(options.batch, device), _batch(options.batch, device)
        alpha = _seconds(lambda t, v: alpha_step(state, settings, t, v, 0.025), train, valid, device=device)
        weight = _seconds(lambda t: weight_step(state, settings, t, 0.025), train, device=device)
        if repeat >= 0:
            times["alpha"].append(alpha)
            times["weight"].append(weight)
    times["both"] = [a + w for a, w in zip(times["alpha"], times["weight"], strict=True)]
    return {"order": order, "precision": precision, **{k: _summary(v) for k, v in times.items()}, **_memory(state)}


def _seconds(step: Any, *batches: Any, device: torch.device) -> float:
    _synchronise(device)
    begun = time.perf_counter()
    step(*batches)
    _synchronise(device)
    return time.perf_counter() - begun


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _batch(size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(size, 3, 32, 32, device=device), torch.randint(0, 10, (size,), device=device)


def _summary(seconds: list[float]) -> dict[str, float]:
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)}


def _memory(state: SearchState) -> dict[str, float]:
    if not state.supernet.alpha_normal.is_cuda:
        return {}
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return {"peak_gib": peak}


def save(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Write the figures with what they were measured on."""
    RESULTS.mkdir(exist_ok=True)
    known = environment()
    kept = {k: known[k] for k in ("date", "git_commit", "python", "torch", "processor", "threads", "gpu")}
    report = {"benchmark": "search_step", "options": vars(options), "environment": kept, "rows": rows}
    path = RESULTS / f"search_step-{datetime.date.today().isoformat()}-{'gpu' if kept['gpu'] else 'cpu'}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="darts")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--order", type=int, nargs="+", default=[1, 2], choices=[1, 2])
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=["fp32", "bf16"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--save", action="store_true", help="write the figures under benchmarks/results/")
    return parser


if __name__ == "__main__":
    main()
