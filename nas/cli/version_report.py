"""``nas --version``: what a report of an error needs to say."""

import importlib.metadata
import os
import platform
import sys

from nas.core.paths import PACKAGE
from nas.core.terminal import print_lines
from nas.core.version import __version__

_LIBRARIES = ("torch", "torchvision", "numpy", "hydra-core", "omegaconf", "onnx", "onnxruntime")


def print_versions() -> None:
    """Print versions first, then what needs torch: kernels, device, threads."""
    print_lines(f"nas-superops {__version__}, {PACKAGE}")
    libraries = ", ".join(f"{name} {version}" for name in _LIBRARIES if (version := _installed(name)) is not None)
    print_lines(f"Python {platform.python_version()}, {sys.executable}", libraries, platform.platform(), flush=True)
    print_lines(*_hardware())


def _hardware() -> list[str]:
    import torch

    from nas.kernels.build import load_library

    library, remark = load_library()
    kernels = "compiled" if library is not None else "not compiled"
    if os.environ.get("NAS_KERNELS") == "off":
        kernels, remark = "turned off", "NAS_KERNELS=off"
    cuda = torch.version.cuda
    device = f"cuda {cuda}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "cpu"
    without = f" (torch is built for CUDA {cuda}, but finds no GPU)" if cuda and device == "cpu" else ""
    return [
        f"kernels: {kernels}{f' ({remark})' if remark else ''}",
        f"device: {device}{without}",
        f"threads: {torch.get_num_threads()} of {os.cpu_count()} cores",
    ]


def _installed(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
