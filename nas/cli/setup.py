"""Setup of a command's process: threads, the user's operators, device."""

import torch

from nas.cli.config import RunConfig
from nas.engine.device import choose_device
from nas.ops.registry import load_user_operators


def setup_process(config: RunConfig) -> torch.device:
    """Set the threads, register the user's operators and return the device; raises :class:`InputError`."""
    device = choose_device(config.device)
    torch.backends.cudnn.benchmark = True  # as in DARTS' released code; all batches have one size
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if config.ops is not None:
        load_user_operators(config.ops)
    return device
