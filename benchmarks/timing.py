"""Shared parts of the benchmarks: timing of a step, summaries, and the file with the results."""

import argparse
import datetime
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nas.engine.optimizer import WeightSettings
from nas.runtime.environment import environment
from nas.search.settings import AlphaSettings, SearchSettings

RESULTS = Path(__file__).parent / "results"


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every benchmark of a step has."""
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=["fp32", "bf16"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1, help="steps before them that do not count")
    parser.add_argument("--threads", type=int, help="CPU threads; default: torch's choice")
    saved = "write benchmarks/results/…-LABEL.json, or the given FILE.json"
    parser.add_argument("--save", nargs="?", const="", metavar="LABEL", help=saved)


def set_threads(options: argparse.Namespace) -> None:
    """Set the number of CPU threads to ``--threads``, if given."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)


def seconds(step: Callable[..., object], *arguments: object, device: torch.device) -> float:
    """Return the seconds of ``step(*arguments)``, up to the end of the device's work."""
    _synchronize(device)
    start = time.perf_counter()
    step(*arguments)
    _synchronize(device)
    return time.perf_counter() - start


def random_batch(size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random images (B, 3, 32, 32) and labels (B,) of the size of CIFAR-10's."""
    return torch.randn(size, 3, 32, 32, device=device), torch.randint(0, 10, (size,), device=device)


def paper_settings(**sizes: Any) -> SearchSettings:
    """Return the settings of DARTS (arXiv 1806.09055, §A.1.1), first order; ``sizes`` add to them or replace them."""
    fixed: dict[str, Any] = {
        "epochs": 50,
        "order": 1,
        "train_fraction": 0.5,
        "seed": 0,
        "weights": WeightSettings(lr=0.025, lr_min=0.001, momentum=0.9, weight_decay=3e-4, clip_norm=5.0),
        "alphas": AlphaSettings(lr=3e-4, beta1=0.5, beta2=0.999, weight_decay=1e-3),
    }
    return SearchSettings(**fixed | sizes)


def summary(values: list[float]) -> dict[str, float]:
    """Return the median and the extremes."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def shown(values: dict[str, float], digits: int = 3) -> str:
    """Return a summary as text: median (minimum–maximum)."""
    return f"{values['median']:.{digits}f} ({values['min']:.{digits}f}–{values['max']:.{digits}f})"


def peak_memory(device: torch.device) -> dict[str, float]:
    """Return the peak of the GPU memory since the last call, in GiB; nothing on a CPU."""
    if device.type != "cuda":
        return {}
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return {"peak_gib": peak}


def save(benchmark: str, options: argparse.Namespace, rows: list[dict[str, Any]]) -> Path:
    """Write the figures with date, versions and hardware; return the path of the file."""
    record = environment()
    kept = {k: record[k] for k in ("date", "git_commit", "python", "torch", "processor", "threads", "gpu")}
    report = {"benchmark": benchmark, "options": vars(options), "environment": kept, "rows": rows}
    label = f"-{options.save}" if options.save else ""
    hardware = "gpu" if kept["gpu"] else "cpu"
    path = RESULTS / f"{benchmark}-{datetime.date.today().isoformat()}-{hardware}{label}.json"
    if options.save.endswith(".json"):
        path = Path(options.save)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(path)
    return path


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
