"""Python pickles of plain data and uint8 arrays, as CIFAR is published, read without running anything out of them."""

import io
import pickle
from typing import Any

import numpy as np

from nas.core.errors import InputError


class _Array:
    """Stands for ``numpy.ndarray``: takes what a pickle says of an array, and asks NumPy for none of it."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Kind) or not isinstance(data, bytes | str):
            raise pickle.UnpicklingError("an array of another kind than uint8")
        raw = data.encode("latin1") if isinstance(data, str) else data  # Python 2 wrote bytes as text
        self.value = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C").copy()


class _Kind:
    """Stands for ``numpy.dtype``, of which only uint8 is known."""

    def __init__(self, name: str, *_: object) -> None:
        if name != "u1":
            raise pickle.UnpicklingError(f"numbers of type {name!r}")

    def __setstate__(self, _: object) -> None:
        """Byte order and alignment: a byte has neither."""


class _PlainUnpickler(pickle.Unpickler):
    """Knows three names, of which none leads to code that a pickle could use."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return lambda *_: _Array()
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return _Array if name == "ndarray" else _Kind
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def read_pickle(data: bytes, where: str) -> dict[str, Any]:
    """The dict that ``data`` holds: text, numbers, lists, and uint8 arrays as its values.

    Raises :class:`InputError`, with ``where`` in front, for anything else. A small pickle can still ask for much
    memory: only read bytes of a known checksum.
    """
    try:
        found = _PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
        return {key: value.value if isinstance(value, _Array) else value for key, value in found.items()}
    except Exception as error:  # a broken pickle raises almost anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{where}: is not plain data ({reason})") from error
