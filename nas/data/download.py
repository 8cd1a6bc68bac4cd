"""Download of one file, with a timeout and a size limit."""

import urllib.request
from pathlib import Path

from nas.runtime.progress import Progress
from nas.storage.atomic_files import open_atomic

_TIMEOUT = 20  # seconds to wait for the response and for each block
_BLOCK = 1 << 16
_MAX_BYTES = 1_000_000_000


def download(url: str, path: Path) -> None:
    """Download ``url`` to ``path`` atomically, showing a progress line.

    Raises what urllib raises, mostly :class:`OSError`, and :class:`OSError` for more than 1 GB.
    """
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as response, open_atomic(path) as file:
        total = int(response.headers.get("Content-Length", 0))
        with Progress(f"downloading {path.name}", total, "MB", scale=10**6) as progress:
            while block := response.read(_BLOCK):
                file.write(block)
                progress.advance(len(block))
                if progress.done > _MAX_BYTES:
                    raise OSError(f"{url}: more than {_MAX_BYTES:,} bytes")
