"""The process of one checkout in ``compare_checkouts.py``: one step, and its seconds, for each line on stdin.

It uses only names that every version of the package has, so that checkouts with different module layouts can be
compared. Replies are lines of JSON: the first also says where the package comes from, and all hold a step's seconds
(of the clock, and of CPU time) and a digest of what it computed.
"""

import argparse
import gc
import hashlib
import importlib
import json
import runpy
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

import nas

Step = Callable[[], Mapping[str, Tensor]]


def make_step(case: Mapping[str, Any]) -> Step:
    """Return a step that computes both gradients of a search, by alphas and by weights, on two fixed random batches.

    The alphas and the weights stay as they are: optimizers and data loading are not part of the step.
    """
    device = torch.device(case["device"])
    torch.manual_seed(0)
    supernet = nas.Supernet(nas.load_space(case["space"]), case["channels"], case["cells"]).to(device).train()
    train, valid = (
        (torch.randn(case["batch"], 3, 32, 32).to(device), torch.randint(0, 10, (case["batch"],)).to(device))
        for _ in range(2)
    )
    weight_gradients = importlib.import_module(nas.architecture_gradients.__module__).weight_gradients

    def step() -> dict[str, Tensor]:
        alphas = nas.architecture_gradients(supernet, train, valid, lr=0.025, order=case["order"])
        loss, _, weights = weight_gradients(supernet, train)
        return {**alphas, **weights, "training loss": loss}

    return step


def main() -> None:
    """Reply to each line on stdin with one step's seconds; ``--case`` holds the sizes as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", type=json.loads, required=True)
    case = parser.parse_args().case
    if case["threads"] is not None:
        torch.set_num_threads(case["threads"])
    make = make_step if case["step"] is None else runpy.run_path(case["step"])["make_step"]
    step = make(case)
    first = _run(step, case["device"])
    gc.collect()
    gc.freeze()  # as a search does
    _reply({"package": nas.__file__, "torch": torch.__version__, **first})
    for _ in sys.stdin:
        _reply(_run(step, case["device"]))


def _run(step: Step, device: str) -> dict[str, Any]:
    _synchronize(device)
    start, cpu_start = time.perf_counter(), time.process_time()
    tensors = step()
    _synchronize(device)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "digest": digest.hexdigest()}


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _reply(values: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
