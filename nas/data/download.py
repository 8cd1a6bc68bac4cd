"""One file from the net, without hanging."""

import urllib.request
from pathlib import Path

from nas.runtime.progress import Progress
from nas.storage.atomic_files import open_atomic

TIMEOUT = 20  # seconds without an answer, or without a further byte, before giving up
BLOCK = 1 << 16
MAX_BYTES = 1_000_000_000


def download(url: str, path: Path) -> None:
    """Fetch ``url`` into ``path``, all or nothing, with a progress line. Raises what urllib raises, mostly OSError.

    More than 1 GB is an :class:`OSError` too.
    """
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, open_atomic(path) as file:
        total = int(answer.headers.get("Content-Length", 0))
        with Progress(f"fetching {path.name}", total, "MB", scale=10**6) as progress:
            while block := answer.read(BLOCK):
                file.write(block)
                progress.advance(len(block))
                if progress.done > MAX_BYTES:
                    raise OSError(f"{url} sends more than {MAX_BYTES:,} bytes")
