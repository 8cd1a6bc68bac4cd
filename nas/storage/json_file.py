"""Bounded reading of untrusted JSON: every error is one line that names the file."""

import json
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.storage.atomic_files import read_text


def read_json(path: Path) -> Any:
    """Return the data in the JSON file ``path`` of at most 1 MB; raises :class:`InputError`."""
    return parse_json(read_text(path), format_value(path))


def parse_json(text: str, where: str) -> Any:
    """Return the data in ``text``; raises :class:`InputError`, beginning with ``where``, if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is not JSON ({' '.join(str(error).split())})") from error
