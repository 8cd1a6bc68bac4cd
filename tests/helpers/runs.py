"""Comparison of runs by their checkpoints and metrics, and a deadline after a number of steps."""

from pathlib import Path

import torch

from nas.core.run_files import CHECKPOINT
from nas.runtime.metrics_log import read_metrics
from nas.storage.checkpoint import load_checkpoint


class StopAfter:
    """Deadline that is reached after ``steps`` steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def reached(self) -> bool:
        self.left -= 1
        return self.left < 0

    def pause(self) -> None:
        pass


def search_state(folder: Path) -> dict[str, torch.Tensor]:
    saved = load_checkpoint(folder / CHECKPOINT)
    return {
        **saved["model"],
        **{f"adam.{k}.{name}": v for k, s in saved["alpha_optimizer"]["state"].items() for name, v in s.items()},
        **{f"sgd.{k}": s["momentum_buffer"] for k, s in saved["weight_optimizer"]["state"].items()},
    }


def train_state(folder: Path) -> dict[str, torch.Tensor]:
    saved = load_checkpoint(folder / CHECKPOINT)
    momentum = {f"sgd.{k}": s["momentum_buffer"] for k, s in saved["optimizer"]["state"].items()}
    return {**saved["weights"], **{f"judged.{k}": v for k, v in saved["model"].items()}, **momentum}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def metrics(folder: Path) -> list[dict]:
    timeless = ("seconds", "images_per_second")
    return [{k: v for k, v in row.items() if k not in timeless} for row in read_metrics(folder / "metrics.jsonl")]


def same_alphas(a: Path, b: Path) -> bool:
    one, two = (load_checkpoint(folder / "checkpoint.pt")["model"] for folder in (a, b))
    return all(torch.equal(one[f"alpha_{kind}"], two[f"alpha_{kind}"]) for kind in ("normal", "reduce"))
