"""Setup of a command's process: threads, the user's operators, device, kernels."""

import os

import torch

from nas.cli.config import RunConfig
from nas.core.formatting import format_plural
from nas.core.terminal import print_warning
from nas.engine.device import choose_device
from nas.kernels.build import load_library
from nas.ops.registry import load_user_operators


def setup_process(config: RunConfig) -> torch.device:
    """Set the threads, register the user's operators and return the device; raises :class:`InputError`.

    On a CPU, one line on standard error says why there are no compiled kernels, unless the user turned them off.
    """
    device = choose_device(config.device)
    torch.backends.cudnn.benchmark = True  # as in DARTS' released code; all batches have one size
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.ops is not None:
        load_user_operators(config.ops)
    remark = load_library()[1] if device.type == "cpu" else ""
    if remark and os.environ.get("NAS_KERNELS") != "off":
        print_warning(f"compiled kernels: {remark}")
    return device


def describe_device(device: torch.device) -> str:
    """Return the line on what a run computes with: the device, CPU threads, and on a CPU the compiled kernels."""
    threads = format_plural(torch.get_num_threads(), "CPU thread")
    if device.type != "cpu":
        name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
        return f"device: {device}{name}, {threads}"
    library, remark = load_library()
    if library is None:
        return f"device: cpu, {threads}, no compiled kernels ({remark}): several times as slow"
    return f"device: cpu, {threads}, compiled kernels{f' ({remark})' if remark else ''}"
