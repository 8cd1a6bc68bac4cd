"""Names of run folders."""

import hashlib
import re
from collections.abc import Mapping

_NAMED = ("space", "method", "cell", "data", "seed")  # settings that every name has already
_MAX_EXTRA = 80  # characters of the other swept settings


def with_method(space: str, method: str, separator: str = "-") -> str:
    """Return the name of a space, followed by any search method but DARTS: ``nb201-gdas``."""
    return space if method == "darts" else f"{space}{separator}{method}"


def run_name(title: str, data: str, seed: int) -> str:
    """Return the name of a run's folder: ``title-data-seed0``, without what the title, a cell's name, ends with."""
    if title.endswith(f"-{data}-seed{seed}"):
        return title
    if re.search(rf"-{re.escape(data)}-seed\d+$", title):
        return f"{title}-seed{seed}"
    return f"{title}-{data}-seed{seed}"


def swept_name(name: str, swept: Mapping[str, str]) -> str:
    """Return ``name`` with the swept settings that it does not have yet: ``tiny-digits-seed0-alphas.lr0.003``."""
    extra = "-".join(f"{key}{value}" for key, value in swept.items() if key not in _NAMED)
    if not extra:
        return name
    plain = re.sub(r"[^\w.+-]+", "_", extra)
    if plain == extra and len(plain) <= _MAX_EXTRA:
        return f"{name}-{plain}"
    return f"{name}-{plain[:_MAX_EXTRA]}-{hashlib.sha256(extra.encode()).hexdigest()[:8]}"
