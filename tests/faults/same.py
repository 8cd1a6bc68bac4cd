"""Comparison of a disturbed run with an undisturbed one."""

import json
from pathlib import Path
from typing import Any

import torch

from nas.graph.zoo import load_genotype
from nas.runtime.metrics_log import read_metrics
from nas.storage.checkpoint import load_checkpoint
from tests.faults.curves import TIMES, curves


def differences(whole: Path, killed: Path) -> list[str]:
    """Return what differs between two run folders, bit for bit, except times."""
    found = []
    for name in ("checkpoint.pt", "best.pt"):
        if (whole / name).exists():
            one, two = (load_checkpoint(folder / name) for folder in (whole, killed))
            found += [f"{name}: {place}" for place in different(one, two)]
    rows, others = (list(map(_timeless, read_metrics(folder / "metrics.jsonl"))) for folder in (whole, killed))
    if different(rows, others) or _lines(whole) != _lines(killed):
        found.append("metrics.jsonl")
    (points, _), (others_points, twice) = curves(whole), curves(killed)
    if twice or points != others_points or not points:
        places = sorted(set(twice) | dict(points.items() ^ others_points.items()).keys())
        found.append(f"tensorboard: {places[:5]}")
    if load_genotype(whole / "genotype.yaml") != load_genotype(killed / "genotype.yaml"):
        found.append("genotype.yaml")
    results = (_timeless(json.loads((folder / "result.json").read_text())) for folder in (whole, killed))
    if different(*results):
        found.append("result.json")
    weights = whole / "weights.safetensors"
    if weights.exists() and weights.read_bytes() != (killed / weights.name).read_bytes():
        found.append(weights.name)
    left = [*killed.rglob("*.tmp"), *killed.glob("lock")]
    return found + [f"{path.name} remains" for path in sorted(left)]


def different(one: Any, two: Any, place: str = "") -> list[str]:
    """Return where two trees of plain data and tensors differ, except ``seconds``; NaN equals itself."""
    if type(one) is not type(two):
        return [place]
    if isinstance(one, torch.Tensor):
        same = one.dtype == two.dtype and one.shape == two.shape and one.numpy().tobytes() == two.numpy().tobytes()
        return [] if same else [place]
    if isinstance(one, dict):
        if list(one) != list(two):
            return [f"{place}: keys"]
        pairs = [(key, one[key], two[key]) for key in one if key != "seconds"]
    elif isinstance(one, list | tuple):
        if len(one) != len(two):
            return [f"{place}: length"]
        pairs = [(index, *pair) for index, pair in enumerate(zip(one, two, strict=True))]
    else:
        return [] if one == two or repr(one) == repr(two) else [place]
    return [found for key, a, b in pairs for found in different(a, b, f"{place}.{key}")]


def _lines(folder: Path) -> int:
    return len((folder / "metrics.jsonl").read_bytes().splitlines())


def _timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in (*TIMES, "command", "date")}
