"""Memory messages of the commands: the estimate before a run, and advice after running out of memory."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from nas.cli.config import RunConfig, SearchConfig
from nas.cli.messages import resume_command
from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT
from nas.core.terminal import print_lines, print_warning
from nas.costs.cpu_bf16 import require_bf16_gradients
from nas.costs.memory_limit import require_memory
from nas.data.dataset import Dataset
from nas.graph.space import Space
from nas.profiling.step_memory import MemoryEstimate, MemoryTask, free_memory, predict_memory, settings_that_fit
from nas.search.state import build_supernet

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "bad_alloc", "alloc_failed")  # in torch's errors
_ONEDNN_OUT_OF_MEMORY = "could not create a primitive"  # the whole text; for an unsupported operation it is longer
_REPORTED_SETTINGS = ("batch_size", "channels", "cells", "order", "execution", "precision", "grad_checkpoint")
_ADVICE_FRACTION = 0.75  # after running out of memory, suggest settings that need this part of the prediction
_PREDICTION_ERRORS = (MemoryError, RuntimeError, ValueError, ArithmeticError)  # an operator may refuse a small batch


class SearchMemory:
    """The predicted memory of a search, compared with the available memory; advice if it ran out all the same."""

    def __init__(self, config: SearchConfig, space: Space, dataset: Dataset, device: torch.device) -> None:
        self.settings = config.settings
        self.sizes = f"space={config.space}, channels={config.channels}, cells={config.cells}"
        sizes = dataset.image_shape, dataset.num_classes, len(dataset.train)
        self.task = MemoryTask(space, *sizes, device, dataset.train.dtype.itemsize)
        self.estimate: MemoryEstimate | None = None
        self.available: int | None = None

    def require_weights(self) -> None:
        """Raise :class:`InputError` if the weights alone do not fit into memory, or their gradients would be wrong."""
        task, settings = self.task, self.settings
        build = partial(build_supernet, task.space, settings, task.num_classes, task.image_shape[0])
        model = require_memory(build, task.device, self.sizes)
        require_bf16_gradients(model, task.device, settings.precision, task.image_shape, stem="cifar")

    def print_estimate(self) -> None:
        """Print needed and available memory; a warning if too little is available, but the estimate stops nothing."""
        try:
            estimate, available = predict_memory(self.task, self.settings), free_memory(self.task.device)
        except _PREDICTION_ERRORS as error:
            if is_out_of_memory(error):
                raise
            print_lines(f"memory: could not be estimated ({str(error).splitlines()[0][:100]})")
            return
        self.estimate, self.available = estimate, available
        needed = estimate.bytes(self.settings.batch_size)
        text = f"memory: about {_format_bytes(needed)} needed at batch size {self.settings.batch_size}"
        if available is None:
            print_lines(text)
            return
        text = f"{text}, {_format_bytes(available)} available"
        if needed <= available:
            print_lines(text)
            return
        fitting = settings_that_fit(self.task, self.settings, estimate, available)
        advice = f"would fit: {', or '.join(fitting)}" if fitting else "a smaller network would fit"
        print_warning(f"{text}; {advice}")

    def advice(self) -> list[str]:
        """Return settings that would fit, after memory ran out: the prediction may have been too small."""
        try:
            estimate = self.estimate or predict_memory(self.task, self.settings)
            needed = estimate.bytes(self.settings.batch_size)
            limit = min(self.available or needed, int(_ADVICE_FRACTION * needed))
            return settings_that_fit(self.task, self.settings, estimate, limit)
        except _PREDICTION_ERRORS:  # even this may need too much memory
            return []


@contextmanager
def explain_out_of_memory(config: RunConfig, folder: Path, advice: Callable[[], list[str]] = list) -> Iterator[None]:
    """Turn an out-of-memory error into one line: the settings, others that would fit, and the command to resume."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # frames keep the run's tensors alive
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise InputError(_explanation(config, folder, advice())) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if ``error`` says that memory ran out, on a GPU or on the host."""
    text = str(error).lower()
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    matches = text == _ONEDNN_OUT_OF_MEMORY or any(part in text for part in _OUT_OF_MEMORY)
    return isinstance(error, RuntimeError) and matches


def _explanation(config: RunConfig, folder: Path, fitting: list[str]) -> str:
    values = asdict(config)
    settings = ", ".join(f"{name}={str(values[name]).lower()}" for name in _REPORTED_SETTINGS if name in values)
    advice = f"would fit by the estimate: {', or '.join(fitting)}" if fitting else "a smaller batch_size needs less"
    saved = "the last checkpoint is kept" if (folder / CHECKPOINT).exists() else "there is no checkpoint yet"
    change = " grad_checkpoint=true" if values.get("grad_checkpoint") is False else ""
    resume = f"resume with: {resume_command(config, folder)}{change}; other sizes or another precision need a new run"
    return f"not enough memory for {settings}; {advice}; {saved}, {resume}"


def _format_bytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(size / 2**20, 1):.0f} MiB"
