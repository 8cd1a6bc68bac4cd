"""Bounded reading of untrusted safetensors files.

The format: 8 bytes with the length of a JSON header, the header (name -> dtype, shape, offsets), then the tensors. The
library checks offsets and shapes; checked here are the numbers of tensors and dimensions, and names that occur twice.
"""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.limits import MAX_CHECKPOINT
from nas.storage.atomic_files import error_reason, read_bytes

_MAX_HEADER = 10_000_000  # bytes; DARTS' network of 20 cells has 200 kB
_MAX_TENSORS = 100_000
_MAX_DIMENSIONS = 16


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata in a safetensors file; raises :class:`InputError` for a bad one.

    The file is read as a whole instead of mapped into memory: truncating a mapped file kills the process.
    """
    import safetensors.torch  # a search does not need it
    from safetensors import SafetensorError

    data = read_bytes(path, MAX_CHECKPOINT)
    try:
        metadata = _check_header(data)
        return safetensors.torch.load(data), metadata
    except (SafetensorError, ValueError, RecursionError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(error_reason(error).split())[:200]
        raise InputError(f"{format_value(path)}: cannot be read as safetensors ({reason})") from error


def _check_header(data: bytes) -> dict[str, str]:
    """Return the metadata; raises :class:`ValueError` for a header beyond the limits."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, _MAX_HEADER):
        raise ValueError("invalid header length")
    header = json.loads(data[8 : 8 + length], object_pairs_hook=_without_duplicates)
    if not isinstance(header, dict) or len(header) > _MAX_TENSORS:
        raise ValueError("not a table of at most 100,000 tensors")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("metadata that are not text")
    if any(len(entry["shape"]) > _MAX_DIMENSIONS for entry in header.values()):
        raise ValueError(f"a tensor of more than {_MAX_DIMENSIONS} dimensions")
    return metadata


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a name that occurs twice")
    return mapping
