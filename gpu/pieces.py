"""The pieces of ``make gpu``: everything that is tested or measured on an NVIDIA GPU, one entry each.

A piece runs in the repository's root, must finish in under 10 minutes, and needs no installation of this project: it
uses Python modules, not the Hydra commands. In its command, ``{python}`` is the running Python and ``{figures}`` the
JSON file in which it saves its figures.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """One step of ``make gpu``."""

    name: str
    shows: str
    command: str
    minutes: float  # time limit
    needs: tuple[str, ...] = ("networkx", "numpy", "torch", "yaml")  # modules; the runner names missing ones
    gpu: bool = True


_TEST = "{python} -m pytest -q -p no:cacheprovider"
_TEST_NEEDS = (*Piece.needs, "PIL", "pytest", "torchvision")
_SEARCHES = "{python} gpu/searches.py"
_STEP = "{python} benchmarks/bench_search_step.py --device cuda --precision fp32 bf16 --cuda-graphs off on"
_STEP += " --execution batched reference --warmup 3 --repeats 20 --save {figures}"

PIECES = (
    Piece(
        "graph-tests",
        "steps replayed as CUDA graphs equal steps without capture",
        f"{_TEST} tests/engine/test_cuda_graphs.py",
        8,
        (*_TEST_NEEDS, "sklearn"),
    ),
    Piece(
        "data-tests",
        "batches and augmentation on the GPU equal those on the CPU and do not synchronize",
        f"{_TEST} tests/data/test_augment.py tests/data/test_batches.py tests/data/test_stream.py",
        6,
        _TEST_NEEDS,
    ),
    Piece("step-darts-64", "time and memory of a search step: darts, batch 64", f"{_STEP} --batch 64", 9),
    Piece("step-darts-256", "time and memory of a search step: darts, batch 256", f"{_STEP} --batch 256", 9),
    Piece(
        "step-sandglass-64",
        "time and memory of a search step: darts+sandglass, batch 64",
        f"{_STEP} --batch 64 --space darts+sandglass",
        9,
    ),
    Piece(
        "step-sandglass-256",
        "time and memory of a search step: darts+sandglass, batch 256",
        f"{_STEP} --batch 256 --space darts+sandglass",
        9,
    ),
    Piece(
        "step-methods-64",
        "time of a search step of gdas and pc_darts beside darts, batch 64",
        "{python} benchmarks/bench_methods.py --device cuda --warmup 3 --repeats 20 --save {figures}",
        9,
    ),
    Piece(
        "nb201-methods",
        "NAS-Bench-201, C=16, five cells a stage: eight methods, three seeds; hours, a part in each call",
        f"{_SEARCHES} nb201 --minutes 9 --save {{figures}}",
        9.9,
        (*Piece.needs, "PIL"),
    ),
    Piece(
        "full-search",
        "the paper's search of darts+sandglass and its retraining with preset fast; hours, a part in each call",
        f"{_SEARCHES} full --minutes 9 --save {{figures}}",
        9.9,
        (*Piece.needs, "PIL"),
    ),
)
