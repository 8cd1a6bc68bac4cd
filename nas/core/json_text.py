"""JSON as all programs read it: without NaN and infinities, which it does not have."""

import json
import math
from collections.abc import Mapping
from typing import Any


def format_json(value: Any, indent: int | None = None) -> str:
    """Return ``value`` (dicts, lists, text, numbers) as JSON; a number that is not finite becomes null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
