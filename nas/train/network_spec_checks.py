"""Validation of a network spec, which may come from an untrusted file."""

import math
from collections.abc import Mapping
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.limits import MAX_CELLS, MAX_CHANNELS, MAX_CLASSES, MAX_SIDE
from nas.engine.fingerprint import is_fingerprint
from nas.engine.named_losses import NAMED_LOSSES

_MAX_TEXT = 4096  # characters: a path


def check_network_spec(fields: Mapping[str, Any]) -> None:
    """Raise :class:`InputError` for the first invalid one of a spec's ``fields``."""
    image, classes = fields["image_shape"], fields["classes"]
    channels = image[0] if _is_image_shape(image) else 0
    rules = {
        "channels": _is_whole(fields["channels"], MAX_CHANNELS),
        "cells": _is_whole(fields["cells"], MAX_CELLS),
        "stem": _is_text(fields["stem"]),
        "auxiliary": isinstance(fields["auxiliary"], bool),
        "dataset": _is_text(fields["dataset"]) and fields["dataset"].isprintable(),
        "classes": isinstance(classes, tuple) and 1 <= len(classes) <= MAX_CLASSES and all(map(_is_text, classes)),
        "image_shape": _is_image_shape(image),
        "mean": _is_by_channel(fields["mean"], channels),
        "std": _is_by_channel(fields["std"], channels) and min(fields["std"]) > 0,
        "image_dtype": fields["image_dtype"] in ("uint8", "float32"),
        "loss": fields["loss"] in NAMED_LOSSES,
        "ops": fields["ops"] is None or _is_text(fields["ops"]),
        "fingerprint": is_fingerprint(fields["fingerprint"]),
    }
    for name, holds in rules.items():
        if not holds:
            raise InputError(f"{name}={format_value(fields[name])}: invalid in the description of a network")


def _is_whole(value: object, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= largest


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


def _is_image_shape(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 3:
        return False
    return _is_whole(value[0], MAX_CHANNELS) and all(_is_whole(side, MAX_SIDE) for side in value[1:])


def _is_by_channel(value: object, channels: int) -> bool:
    return isinstance(value, tuple) and len(value) == channels and all(map(_is_number, value))
