"""What the commands say about memory: what a run will need, and what to do where there was not enough."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from nas.cli.config import RunConfig, SearchConfig
from nas.cli.messages import resume_command
from nas.core.errors import InputError
from nas.core.run_files import CHECKPOINT
from nas.data.dataset import Dataset
from nas.graph.space import Space
from nas.profiling.step_memory import MemoryEstimate, MemoryTask, free_memory, predict_memory, settings_that_fit

SIGNS = ("out of memory", "can't allocate memory", "bad_alloc", "alloc_failed")  # in the words of torch's errors
BARE = "could not create a primitive"  # all that oneDNN says then; where it does not support something, it says more
NAMED = ("batch_size", "channels", "cells", "order", "execution", "precision", "grad_checkpoint")
KEPT = 0.75  # of a prediction that turned out too small: what is looked for then


class SearchMemory:
    """The memory of one search: predicted, compared with what is there, and looked at again where it ran out."""

    def __init__(self, config: SearchConfig, space: Space, dataset: Dataset, device: torch.device) -> None:
        self.settings = config.settings
        self.task = MemoryTask(space, dataset.image_shape, dataset.num_classes, len(dataset.train), device)
        self.footprint: MemoryEstimate | None = None
        self.there: int | None = None

    def say(self) -> None:
        """One line: what will be needed, and what is there; a warning where that is less. A guess stops nothing."""
        try:
            footprint, there = predict_memory(self.task, self.settings), free_memory(self.task.device)
        except (
            MemoryError,
            RuntimeError,
            ValueError,
            ArithmeticError,
        ) as error:  # an operator may refuse so small a batch
            if is_out_of_memory(error):
                raise
            print(f"memory: not known beforehand ({str(error).splitlines()[0][:100]})")
            return
        self.footprint, self.there = footprint, there
        need = footprint.bytes(self.settings.batch_size)
        text = f"memory: about {_shown(need)} needed at batch {self.settings.batch_size}"
        if there is None:
            print(text)
            return
        text = f"{text}, {_shown(there)} are there"
        if need <= there:
            print(text)
            return
        fitting = settings_that_fit(self.task, self.settings, footprint, there)
        advice = f"would fit: {', or '.join(fitting)}" if fitting else "a smaller network would fit"
        print(f"warning: {text}; {advice}", file=sys.stderr)

    def advice(self) -> list[str]:
        """The settings that would fit, now that the memory was not enough; the prediction may have been too small."""
        try:
            footprint = self.footprint or predict_memory(self.task, self.settings)
            need = footprint.bytes(self.settings.batch_size)
            return settings_that_fit(self.task, self.settings, footprint, min(self.there or need, int(KEPT * need)))
        except (MemoryError, RuntimeError, ValueError, ArithmeticError):  # there is not even enough for this
            return []


@contextmanager
def explain_out_of_memory(config: RunConfig, folder: Path, advice: Callable[[], list[str]] = list) -> Iterator[None]:
    """Turn an error of too little memory into one line: the settings, those that would fit, and how to go on."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the run's tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise InputError(_explanation(config, folder, advice())) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or on the host."""
    text = str(error).lower()
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    said = text == BARE or any(sign in text for sign in SIGNS)
    return known or (isinstance(error, RuntimeError) and said)


def _explanation(config: RunConfig, folder: Path, fitting: list[str]) -> str:
    values = asdict(config)
    settings = ", ".join(f"{name}={str(values[name]).lower()}" for name in NAMED if name in values)
    would = f"would fit by the prediction: {', or '.join(fitting)}" if fitting else "a smaller batch_size needs less"
    kept = "the last checkpoint stays" if (folder / CHECKPOINT).exists() else "there is no checkpoint yet"
    more = " grad_checkpoint=true" if values.get("grad_checkpoint") is False else ""
    go_on = f"go on with: {resume_command(config, folder)}{more}; other sizes or another precision want a new run"
    return f"not enough memory for {settings}; {would}; {kept}, {go_on}"


def _shown(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(size / 2**20, 1):.0f} MiB"
