"""Cache of decoded images on disk.

A cache file is a NumPy archive of plain arrays with the fingerprint of its source files. A damaged or outdated file
is rebuilt and is never an error.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.terminal import print_warning
from nas.storage.atomic_files import check_regular_file, open_atomic
from nas.storage.zip_checks import is_bounded

Arrays = dict[str, np.ndarray]


def read_cache(path: Path, fingerprint: str) -> Arrays | None:
    """Return the arrays in ``path``, or None if it is missing, damaged or has another fingerprint."""
    try:
        check_regular_file(path)
        with zipfile.ZipFile(path) as members:
            if not is_bounded(members, path.stat().st_size):
                return None
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if str(archive["fingerprint"]) != fingerprint:
                return None
            return {name: archive[name] for name in archive.files if name != "fingerprint"}
    except Exception:  # whatever a damaged archive raises: the image files can be decoded again
        return None


def write_cache(path: Path, fingerprint: str, arrays: Arrays) -> None:
    """Write the cache atomically; print a warning if that fails. A kill or a full disk keeps the old file."""
    contents: dict[str, Any] = {"fingerprint": np.array(fingerprint), **arrays}
    try:
        with open_atomic(path) as file:
            np.savez(file, **contents)
    except OSError as error:
        problem = f"data.cache={path.parent} cannot be written ({error.strerror})"
        print_warning(f"decoded images are not cached: {problem}")
