"""Decoded images kept on disk, so that a folder is decoded once.

A cache file is a NumPy archive of plain arrays. It holds the fingerprint of what it was made from; anything wrong
with it means that it is made again, never an error.
"""

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from nas.storage.atomic_files import check_regular_file, open_atomic
from nas.storage.zip_checks import is_bounded

Arrays = dict[str, np.ndarray]


def read_cache(path: Path, fingerprint: str) -> Arrays | None:
    """The arrays in ``path``, or None if it is missing, broken (its checksums tell) or of another fingerprint."""
    try:
        check_regular_file(path)
        with zipfile.ZipFile(path) as members:
            if not is_bounded(members, path.stat().st_size):
                return None
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if str(archive["fingerprint"]) != fingerprint:
                return None
            return {name: archive[name] for name in archive.files if name != "fingerprint"}
    except Exception:  # whatever a damaged archive raises: the images themselves are still there
        return None


def write_cache(path: Path, fingerprint: str, arrays: Arrays) -> None:
    """Write all or nothing: a kill or a full disk leaves the old file. If nothing can be written, a warning says so."""
    contents: dict[str, Any] = {"fingerprint": np.array(fingerprint), **arrays}
    try:
        with open_atomic(path) as file:
            np.savez(file, **contents)
    except OSError as error:
        problem = f"data.cache={path.parent} cannot be written ({error.strerror})"
        print(f"warning: decoded images are not kept: {problem}", file=sys.stderr)
