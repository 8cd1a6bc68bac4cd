"""Setup of a command's process: threads, the user's operators, device, kernels."""

import os

import torch

from nas.cli.config import RunConfig
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
