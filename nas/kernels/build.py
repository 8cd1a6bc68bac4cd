"""The compiled kernels: built from ``csrc`` at first need and kept in the user's cache; optional."""

import ctypes
import functools
import hashlib
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable
from ctypes import Structure, byref
from pathlib import Path

import torch
from torch import Tensor

CSRC = Path(__file__).parent / "csrc"
SOURCES = tuple(sorted(CSRC.glob("*.cpp")))
HEADERS = tuple(sorted(CSRC.glob("*.h")))
SWITCH = "NAS_KERNELS"  # in the environment: "off" leaves everything to stock torch
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC", "-shared")
SECONDS = 300  # for the compiler, which takes about ten of them
SUFFIX = {torch.float32: "f32", torch.float64: "f64"}

Pointers = ctypes.c_void_p
TYPES = {"p": Pointers, "i": ctypes.c_int64, "d": ctypes.c_double}
SIGNATURES = {  # of the kernels, by their arguments' TYPES, without the number of threads at the end
    "moments": "piipp",
    "mix_forward": "ippppppp" + "iiidd" + "p",
    "mix_backward": "ippppppp" + "iiidd" + "pippp",
    "unit_forward": "pppppppp",
    "unit_backward": "pppppp" + "ippp" + "ippp",
    "depthwise_weight": "pppp",
    "max_pool_forward": "pppp",
    "max_pool_backward": "pppp",
    "average_pool_forward": "ppp",
    "average_pool_backward": "pppp",
}


class Window(Structure):
    """Sizes of a convolution or a pool on square windows: ``struct Window`` of ``depthwise_and_pool.cpp``."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("B", "C", "H", "W", "out_H", "out_W", "kernel", "stride", "padding", "dilation")
    ]


@functools.cache
def load_library() -> tuple[ctypes.CDLL | None, str]:
    """The compiled kernels, or None and the reason why there are none."""
    if os.environ.get(SWITCH, "on") == "off":
        return None, f"{SWITCH}=off"
    try:
        return ctypes.CDLL(str(_built())), ""
    except (OSError, subprocess.SubprocessError) as error:
        return None, " ".join(str(error).split())[:200]


def supported(*tensors: Tensor) -> bool:
    """Whether the compiled kernels can take these tensors: plain ones, on the CPU, of one supported type."""
    kind = tensors[0].dtype
    if kind not in SUFFIX or load_library()[0] is None:
        return False
    return all(
        type(x) in (Tensor, torch.nn.Parameter) and x.dtype is kind and x.device.type == "cpu" and x.numel() > 0
        for x in tensors
    )


def call_kernel(name: str, dtype: torch.dtype, *arguments: object) -> None:
    """Call the kernel ``name`` for ``dtype``: tensors go as pointers, the number of threads is put behind.

    Raises MemoryError where it had too little for its own sums.
    """
    given = [x.data_ptr() if isinstance(x, Tensor) else byref(x) if isinstance(x, Structure) else x for x in arguments]
    if not _function(name, dtype)(*given, torch.get_num_threads()):
        raise MemoryError(f"{name}: no memory for its sums")


@functools.cache
def _function(name: str, dtype: torch.dtype) -> Callable[..., bool]:
    function = getattr(load_library()[0], f"{name}_{SUFFIX[dtype]}")
    function.restype = ctypes.c_bool
    function.argtypes = [*(TYPES[letter] for letter in SIGNATURES[name]), ctypes.c_int]
    return function  # type: ignore[no-any-return]


def pointer_array(tensors: list[Tensor] | list[Tensor | None]) -> object:
    """A C array of the tensors' addresses, null for None."""
    return (Pointers * len(tensors))(*(None if x is None else x.data_ptr() for x in tensors))


def _built() -> Path:
    """The shared library in the user's cache; it is named after all that it depends on."""
    compiler = os.environ.get("CXX", "c++")
    texts = [path.read_text() for path in (*SOURCES, *HEADERS)]
    identity = "\n".join([*texts, compiler, *FLAGS, platform.platform(), _processor()])
    name = f"kernels-{hashlib.sha256(identity.encode()).hexdigest()[:20]}.so"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas-superops"
    if (cache / name).exists():
        return cache / name
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return _compile(compiler, cache / name)
    except PermissionError:
        return _compile(compiler, Path(tempfile.mkdtemp(prefix="nas-kernels-")) / name)


def _compile(compiler: str, target: Path) -> Path:
    """Compile next to the target and move it there whole: several processes may do so at once."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as folder:
        built = Path(folder) / target.name
        done = subprocess.run(
            [compiler, *FLAGS, *map(str, SOURCES), "-o", str(built)], capture_output=True, text=True, timeout=SECONDS
        )
        if done.returncode != 0:
            raise OSError(f"{compiler} failed: {done.stderr or done.stdout}")
        built.replace(target)
    return target


def _processor() -> str:
    """What ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(next((line for line in lines if line.startswith(key)), "") for key in ("model name", "flags"))
