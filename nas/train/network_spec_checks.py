"""Validation of a network spec, which may come from an untrusted file."""

import math
from collections.abc import Mapping
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.limits import MAX_CELLS, MAX_CHANNELS, MAX_CLASSES, MAX_SIDE
from nas.engine.fingerprint import is_fingerprint

_MAX_TEXT = 4096  # characters: a path


def check_network_spec(fields: Mapping[str, Any]) -> None:
    """Raise :class:`InputError` for the first invalid one of a spec's ``fields``."""
    image, classes = fields["image_shape"], fields["classes"]
    rules = {
        "channels": _is_whole(fields["channels"], MAX_CHANNELS),
        "cells": _is_whole(fields["cells"], MAX_CELLS),
        "stem": _is_text(fields["stem"]),
        "auxiliary": isinstance(fields["auxiliary"], bool),
        "dataset": _is_text(fields["dataset"]) and fields["dataset"].isprintable(),
        "classes": isinstance(classes, tuple) and 1 <= len(classes) <= MAX_CLASSES and all(map(_is_text, classes)),
        "image_shape": _is_triple(image) and image[0] == 3 and all(_is_whole(side, MAX_SIDE) for side in image),
        "mean": _is_triple(fields["mean"]) and all(map(_is_number, fields["mean"])),
        "std": _is_triple(fields["std"]) and all(_is_number(value) and value > 0 for value in fields["std"]),
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


def _is_triple(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 3
