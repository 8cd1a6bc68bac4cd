"""The format of a checkpoint's keys."""

from typing import Any

CHECKPOINT_FORMAT = 2
_RENAMED = {  # format 1: format 2
    "weight_optimiser": "weight_optimizer",
    "alpha_optimiser": "alpha_optimizer",
    "optimiser": "optimizer",
    "tally": "metrics",
    "mishaps": "nonfinite",
    "blueprint": "network",
}


def current_format(saved: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint of this format or an older one with the keys of this one."""
    renamed = {_RENAMED.get(key, key): value for key, value in saved.items()}
    return {**renamed, "format": CHECKPOINT_FORMAT} if renamed.get("format") == 1 else renamed
