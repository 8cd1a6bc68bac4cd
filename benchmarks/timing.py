"""What the benchmarks share: seconds of a step, their summary, and the file that they are saved in."""

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
    """The options that every benchmark of a step has."""
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=["fp32", "bf16"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1, help="steps in front of them that do not count")
    parser.add_argument("--threads", type=int, help="CPU threads; without it: torch's choice")
    parser.add_argument("--save", nargs="?", const="", metavar="LABEL", help="write benchmarks/results/…-LABEL.json")


def set_threads(options: argparse.Namespace) -> None:
    """Take over ``--threads``."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)


def seconds(step: Callable[..., object], *arguments: object, device: torch.device) -> float:
    """How long ``step(*arguments)`` takes, on the device too."""
    _synchronise(device)
    begun = time.perf_counter()
    step(*arguments)
    _synchronise(device)
    return time.perf_counter() - begun


def random_batch(size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B, 3, 32, 32) and labels (B,) of CIFAR-10's size."""
    return torch.randn(size, 3, 32, 32, device=device), torch.randint(0, 10, (size,), device=device)


def paper_settings(**sizes: Any) -> SearchSettings:
    """A search with DARTS' optimisers (arXiv 1806.09055, §A.1.1); ``sizes`` say the rest, first order unless given."""
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
    """The median and the extremes."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def shown(values: dict[str, float], digits: int = 3) -> str:
    """A summary as text: median (fastest–slowest)."""
    return f"{values['median']:.{digits}f} ({values['min']:.{digits}f}–{values['max']:.{digits}f})"


def peak_memory(device: torch.device) -> dict[str, float]:
    """The GPU memory's peak since the last call, in GiB; nothing on a CPU."""
    if device.type != "cuda":
        return {}
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return {"peak_gib": peak}


def save(benchmark: str, options: argparse.Namespace, rows: list[dict[str, Any]]) -> Path:
    """Write the figures with what they were measured on; gives the file's path."""
    RESULTS.mkdir(exist_ok=True)
    known = environment()
    kept = {k: known[k] for k in ("date", "git_commit", "python", "torch", "processor", "threads", "gpu")}
    report = {"benchmark": benchmark, "options": vars(options), "environment": kept, "rows": rows}
    label = f"-{options.save}" if options.save else ""
    where = "gpu" if kept["gpu"] else "cpu"
    path = RESULTS / f"{benchmark}-{datetime.date.today().isoformat()}-{where}{label}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(path)
    return path


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
