"""Pickles of plain data and uint8 arrays, as CIFAR is published, read without running any code from them."""

import io
import pickle
from typing import Any

import numpy as np

from nas.core.errors import InputError


class _Array:
    """Stand-in for ``numpy.ndarray``: stores the pickled state and lets NumPy allocate nothing on its behalf."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Kind) or not isinstance(data, bytes | str):
            raise pickle.UnpicklingError("an array of another type than uint8")
        raw = data.encode("latin1") if isinstance(data, str) else data  # Python 2 wrote bytes as text
        self.value = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C").copy()


class _Kind:
    """Stand-in for ``numpy.dtype`` that knows uint8 only."""

    def __init__(self, name: str, *_: object) -> None:
        if name != "u1":
            raise pickle.UnpicklingError(f"numbers of type {name!r}")

    def __setstate__(self, _: object) -> None:
        """Ignore byte order and alignment, which a byte does not have."""


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler that knows three names, none of which leads to code that a pickle could misuse."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return lambda *_: _Array()
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return _Array if name == "ndarray" else _Kind
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def read_pickle(data: bytes, where: str) -> dict[str, Any]:
    """Return the dict pickled in ``data``: its values are text, numbers, lists and uint8 arrays.

    Raises :class:`InputError`, beginning with ``where``, for anything else. A small pickle can still demand much
    memory: call it for bytes of a known checksum only.
    """
    try:
        content = _PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
        return {key: value.value if isinstance(value, _Array) else value for key, value in content.items()}
    except Exception as error:  # a broken pickle raises almost anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{where}: is not plain data ({reason})") from error
