"""Calls of the compiled kernels: their signatures and structures, and the checks before a pointer is taken."""

import ctypes
import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nas.kernels import build

_SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}
_PLAIN_TYPES = (Tensor, nn.Parameter)
_ARGUMENT_TYPES = {"p": ctypes.c_void_p, "i": ctypes.c_int64, "d": ctypes.c_double}

# The kernels' arguments by the letters of _ARGUMENT_TYPES, without the number of threads at the end. A test compares
# them, and the structures below, with the declarations in csrc.
SIGNATURES = {
    "moments": "piipp",
    "node_sum_forward": "ppppppppp",
    "node_sum_backward": "ppppppppp" + "ippp",
    "unit_forward": "pppppppp",
    "unit_backward": "pppppp" + "ippp" + "ippp",
    "depthwise_weight": "pppp",
    "max_pool_forward": "pppp",
    "max_pool_backward": "pppp",
    "average_pool_forward": "ppp",
    "average_pool_backward": "pppp",
}


def _integers(names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_int64) for name in names.split()]


class WindowSizes(ctypes.Structure):
    """The sizes of a convolution or a pool on square windows."""

    _fields_ = _integers("B C H W out_H out_W kernel stride padding dilation")


class UnitSizes(ctypes.Structure):
    """The sizes of a unit of convolutions."""

    _fields_ = _integers("B H W C out_H out_W out_C kernel stride dilation even")


class UnitPrologue(ctypes.Structure):
    """The BatchNorm and the clamp before a unit's convolutions."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("mean", "var")),
        ("eps", ctypes.c_double),
        *_integers("batch clamp"),
        *((name, ctypes.c_double) for name in ("low", "high")),
    ]


class NodeSumSizes(ctypes.Structure):
    """The sizes of a node sum, and the clamp after it."""

    _fields_ = [
        *_integers("terms pixels channels clamp"),
        *((name, ctypes.c_double) for name in ("low", "high")),
    ]


def supported(*tensors: Tensor) -> bool:
    """Return whether the compiled kernels take these tensors: plain, dense, on the CPU, of one supported dtype."""
    dtypes = {x.dtype for x in tensors}
    if len(dtypes) > 1 or not dtypes <= _SUFFIXES.keys() or build.load_library()[0] is None:
        return False
    return is_plain(*tensors) and min(map(Tensor.numel, tensors)) > 0


def is_plain(*tensors: Tensor) -> bool:
    """Return whether all are plain strided tensors on the CPU, and no transform of torch.func is active."""
    if torch._C._are_functorch_transforms_active():
        return False
    for x in tensors:  # not all(...): a generator would take twice the time, in every call of a kernel
        if type(x) not in _PLAIN_TYPES or not x.is_cpu or x.layout is not torch.strided or x.is_neg():
            return False
    return True


def check_tensor(name: str, x: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return ``x``; raise ValueError unless a kernel may read it as a tensor of this shape and dtype."""
    if x.shape != shape or x.dtype is not dtype or not x.is_cpu or x.layout is not torch.strided:
        raise ValueError(
            f"{name}: given {tuple(x.shape)}, {x.dtype}, {x.device}, {x.layout}; "
            f"wanted {tuple(shape)}, {dtype}, cpu, {torch.strided}"
        )
    return x


def call_kernel(name: str, dtype: torch.dtype, *arguments: object) -> None:
    """Call the kernel ``name`` for ``dtype``: tensors are passed as pointers, the number of threads is appended.

    The caller has checked shapes, dtypes and devices. Raises ValueError for a tensor without memory, and MemoryError if
    the kernel has too little memory for its sums.
    """
    passed = [
        (x.data_ptr() or _refuse(x))
        if isinstance(x, Tensor)
        else ctypes.byref(x)
        if isinstance(x, ctypes.Structure)
        else x
        for x in arguments
    ]
    if not _function(name, dtype)(*passed, torch.get_num_threads()):
        raise MemoryError(f"{name}: not enough memory for its sums")


def pointer_array(tensors: Sequence[Tensor | None]) -> object:
    """Return a C array of the tensors' addresses, null for None."""
    return (ctypes.c_void_p * len(tensors))(*(None if x is None else x.data_ptr() or _refuse(x) for x in tensors))


def _refuse(x: Tensor) -> int:
    raise ValueError(f"a tensor of {tuple(x.shape)} on {x.device} has no memory that a kernel could read")


@functools.cache
def _function(name: str, dtype: torch.dtype) -> Callable[..., bool]:
    function = getattr(build.load_library()[0], f"{name}_{_SUFFIXES[dtype]}")
    function.restype = ctypes.c_bool
    function.argtypes = [*(_ARGUMENT_TYPES[letter] for letter in SIGNATURES[name]), ctypes.c_int]
    return function  # type: ignore[no-any-return]
