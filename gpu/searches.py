"""Searches and retrainings that only a GPU does in reasonable time, a part of them in each call.

    python gpu/searches.py nb201 --folder runs/gpu-searches --minutes 9 --save figures.json
    python gpu/searches.py full  --folder runs/gpu-searches --minutes 9 --save figures.json

``nb201``: NAS-Bench-201 at 16 channels and five cells a stage, several methods, three seeds; the cells are looked up in
a truth table afterwards (docs/truth.md). ``full``: a search of darts+sandglass with the paper's settings, and the
retraining of its cell with preset ``fast``. The images are ``$NAS_GPU_IMAGES/train/CLASS/*`` and ``/test/CLASS/*``, by
default ``data/cifar10-jpeg``.

A call continues where the last one stopped. Exit codes: 0 if everything is done, 75 if there is more to do, 2 for a
wrong call or missing images.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]  # no installation is needed

import nas  # noqa: E402  # after the path is known
from gpu.run import UNFINISHED  # noqa: E402
from nas.graph.arch_string import format_arch_string  # noqa: E402
from nas.storage.yaml_file import read_mapping  # noqa: E402
from nas.train.settings import TrainSettings  # noqa: E402

NB201_METHODS = ("darts", "gdas", "pc_darts", "beta_darts", "sdarts_rs", "darts_minus", "drnas", "sgas")
SEEDS = (0, 1, 2)
AUGMENT = nas.AugmentSettings()  # DARTS': crops and flips


@dataclass(frozen=True)
class Call:
    """What a call works on: images, folder of the runs, the end of its time, and the sizes of a small trial."""

    data: Any
    folder: Path
    end: float
    device: str = "cuda"
    small: bool = False

    @property
    def minutes(self) -> float:
        """The minutes that are left, at least a moment."""
        return max((self.end - time.monotonic()) / 60, 1e-3)

    def options(self, name: str) -> dict[str, Any]:
        """Return the options of the run ``name``."""
        return {"folder": self.folder / name, "resume": True, "device": self.device, "max_minutes": self.minutes}


def main(argv: list[str] | None = None) -> int:
    """Do the part of the work that fits into the time; return the exit code."""
    given = _parser().parse_args(argv)
    root = Path(os.environ.get("NAS_GPU_IMAGES", ROOT / "data" / "cifar10-jpeg"))
    if not root.is_dir():
        print(f"{root}: no such folder; NAS_GPU_IMAGES=FOLDER names that of the images", file=sys.stderr)
        return 2
    end = time.monotonic() + 60 * given.minutes
    data = nas.load_dataset("folder", root=str(root), cache=str(given.folder / "cache"))
    call = Call(data, given.folder, end, given.device, given.small)
    figures, finished = PARTS[given.part](call)
    given.save.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"{given.part}: {'done' if finished else 'stopped in time; the same call continues it'}")
    return 0 if finished else UNFINISHED


def nb201(call: Call) -> tuple[list[dict[str, Any]], bool]:
    """Search NAS-Bench-201 with every method and seed; return a row for each finished search."""
    sizes: dict[str, Any] = (
        {"channels": 4, "cells": 1, "epochs": 1} if call.small else {"channels": 16, "cells": 5, "epochs": 50}
    )
    rows: list[dict[str, Any]] = []
    for seed in SEEDS:
        for method in NB201_METHODS:
            name = f"nb201-{method}-seed{seed}"
            result = nas.run_search(
                "nb201", call.data, method=method, seed=seed, augment=AUGMENT, **sizes, **call.options(name)
            )
            if not result.finished:
                return rows, False
            found = {"method": method, "seed": seed, "cell": format_arch_string(result.genotype)}
            rows.append({**found, "seconds": result.seconds, "valid_accuracy": result.valid_accuracy})
    return rows, True


def full(call: Call, method: str = "pc_darts") -> tuple[dict[str, Any], bool]:
    """Search darts+sandglass and retrain the cell; return both results as far as they are."""
    sizes: dict[str, Any] = {"channels": 4, "cells": 3, "epochs": 1} if call.small else {}
    changes: dict[str, Any] = {"methods": {method: {"part": 2}}} if call.small else {}
    searched = nas.run_search(
        "darts+sandglass", call.data, method=method, augment=AUGMENT, **sizes, **changes, **call.options("full-search")
    )
    figures: dict[str, Any] = {
        "method": method,
        "search": {"seconds": searched.seconds, "valid_accuracy": searched.valid_accuracy},
    }
    if not searched.finished:
        return figures, False
    figures["cell"] = (searched.folder / "genotype.yaml").read_text()
    augment = replace(AUGMENT, cutout=16)
    settings = {
        **_preset_fast(),
        **sizes,
        **({"warmup_epochs": 0, "precision": "fp32"} if call.small else {}),
        **call.options("full-retrain"),
    }
    trained = nas.run_training(searched.genotype, call.data, augment=augment, **settings)
    figures["retrain"] = {"seconds": trained.seconds, "test_accuracy": trained.test_accuracy}
    return figures, trained.finished


def _preset_fast() -> dict[str, Any]:
    settings = read_mapping(ROOT / "conf" / "retrain" / "preset" / "fast.yaml")
    weights = replace(TrainSettings().weights, **settings.pop("weights"))
    return {**settings, "weights": weights}


PARTS: dict[str, Callable[[Call], tuple[Any, bool]]] = {"nb201": nb201, "full": full}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "gpu-searches", help="folder of the runs")
    parser.add_argument("--minutes", type=float, default=9, help="after which the call stops with a checkpoint")
    parser.add_argument("--save", type=Path, required=True, help="JSON file of the figures")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a trial")
    parser.add_argument("--small", action="store_true", help="a trial: tiny sizes, one epoch")
    return parser


if __name__ == "__main__":
    sys.exit(main())
