"""Metrics of a run as JSON lines and TensorBoard events."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.core.json_text import format_json
from nas.core.limits import MAX_METRICS
from nas.core.run_files import EVENTS, METRICS
from nas.core.terminal import print_lines
from nas.runtime.run_format import first_epoch
from nas.storage.atomic_files import check_regular_file, error_reason, fsync_file, read_bytes, write_file

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class MetricsLog:
    """Writer of ``metrics.jsonl``, one row per epoch, and of TensorBoard events in a run folder.

    A run that resumes after ``epochs`` epochs first removes the rows and events of later ones, so that none is
    duplicated. Epochs count from 1, in files as :mod:`nas.runtime.run_format` says. On a machine without TensorBoard,
    rows alone are written, and a line on stderr says so.
    """

    def __init__(self, folder: Path, epochs: int = 0) -> None:
        self.metrics = folder / METRICS
        rows = [row for row in read_metrics(self.metrics) if row["epoch"] <= epochs]
        self.first = first_epoch(folder)
        write_file(self.metrics, "".join(row_line(row, self.first) for row in rows).encode())
        self.events = folder / EVENTS
        with _writing(self.events):
            self.earlier = set(self.events.glob("*"))  # written by earlier sessions
            self.writer = _summary_writer(self.events, epochs + 1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a value at ``step`` to each of TensorBoard's curves."""
        if self.writer is None:
            return
        with _writing(self.events):
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """Add an image, uint8 (H, W, 3), to TensorBoard."""
        if self.writer is None:
            return
        with _writing(self.events):
            self.writer.add_image(name, pixels, step, dataformats="HWC")

    def row(self, values: Mapping[str, Any]) -> None:
        """Append a row, which includes its ``epoch``, to ``metrics.jsonl``; raises :class:`InputError` on failure.

        The row and all events have then reached the disk, so that a later checkpoint is never ahead of them.
        """
        with _writing(self.metrics):
            with self.metrics.open("r+", encoding="utf-8") as file:  # never anew: the earlier rows would be missing
                file.seek(0, os.SEEK_END)
                file.write(row_line(values, self.first))
            fsync_file(self.metrics)
        if self.writer is None:
            return
        with _writing(self.events):
            self.writer.flush()
            for path in set(self.events.iterdir()) - self.earlier:
                fsync_file(path)

    def close(self) -> None:
        """Flush and close TensorBoard's file; :meth:`row` has already reported a full disk."""
        if self.writer is not None:
            with contextlib.suppress(OSError):
                self.writer.close()


def _summary_writer(folder: Path, purge_step: int) -> "SummaryWriter | None":
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        print_lines(
            "no TensorBoard events are written: tensorboard is missing (pip install tensorboard)", file=sys.stderr
        )
        return None
    return SummaryWriter(str(folder), purge_step=purge_step)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error_reason(error)})") from error


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the complete rows of a file of a run folder with a row per epoch, such as ``metrics.jsonl``.

    Epochs count from 1, however the file counts them. A line cut off by a kill is skipped. Raises :class:`InputError`.
    """
    check_regular_file(path)
    if not path.exists():
        return []
    rows, first = [], first_epoch(path.parent)
    for line in read_bytes(path, MAX_METRICS).decode(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("epoch"), int):
            rows.append({**row, "epoch": row["epoch"] + 1 - first})
    return rows


def read_scalars(folder: Path, prefix: str) -> dict[str, dict[int, float]]:
    """Return TensorBoard's curves whose names start with ``prefix``, of all sessions, as name -> step -> value."""
    events = folder / EVENTS
    if not events.is_dir():
        return {}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for path in events.iterdir():
        check_regular_file(path)  # TensorBoard would wait for a pipe
    accumulator = EventAccumulator(str(events), {"scalars": 0})
    accumulator.Reload()
    names = [name for name in accumulator.Tags()["scalars"] if name.startswith(prefix)]
    return {name: {event.step: event.value for event in accumulator.Scalars(name)} for name in names}


def row_line(row: Mapping[str, Any], first: int) -> str:
    """Return a row, whose epochs count from 1, as a line of JSON in which they count from ``first``."""
    return format_json({**row, "epoch": row["epoch"] - 1 + first}) + "\n"
