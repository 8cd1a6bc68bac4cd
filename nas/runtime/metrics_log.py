"""What a run leaves for people and programs to follow it by: TensorBoard events and JSON lines."""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard.writer import SummaryWriter

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.limits import MAX_METRICS
from nas.core.run_files import EVENTS, METRICS
from nas.storage.atomic_files import check_regular_file, error_reason, fsync_file, write_file


class MetricsLog:
    """Writes into a run folder: ``metrics.jsonl``, a row an epoch, and TensorBoard's events under ``tensorboard/``.

    A run that goes on behind its first ``epochs`` epochs first takes back the rows and events of later ones, so that
    none stands twice. Rows count epochs from 0, the curves of TensorBoard from 1.
    """

    def __init__(self, folder: Path, epochs: int = 0) -> None:
        self.metrics = folder / METRICS
        rows = [row for row in read_metrics(self.metrics) if row["epoch"] < epochs]
        write_file(self.metrics, "".join(map(_line, rows)).encode())
        self.events = folder / EVENTS
        with _writing(self.events):
            self.earlier = set(self.events.glob("*"))  # what other sittings wrote
            self.writer = SummaryWriter(str(self.events), purge_step=epochs + 1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Curves in TensorBoard: a value each at ``step``."""
        with _writing(self.events):
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """A picture in TensorBoard, uint8 (H, W, 3)."""
        with _writing(self.events):
            self.writer.add_image(name, pixels, step, dataformats="HWC")

    def row(self, values: Mapping[str, Any]) -> None:
        """A row of ``metrics.jsonl``; it holds its ``epoch``. Raises :class:`InputError` where writing fails.

        Row and events so far have then reached the disk: a checkpoint that is written next never knows more than they.
        """
        with _writing(self.metrics):
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(_line(values))
            fsync_file(self.metrics)
        with _writing(self.events):
            self.writer.flush()
            for path in set(self.events.iterdir()) - self.earlier:
                fsync_file(path)

    def close(self) -> None:
        """Write out what is still in memory; a full disk was told by :meth:`row` before."""
        with contextlib.suppress(OSError):
            self.writer.close()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error_reason(error)})") from error


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a ``metrics.jsonl``, without a last line that a kill cut off; raises :class:`InputError`."""
    check_regular_file(path)
    if not path.exists():
        return []
    if path.stat().st_size > MAX_METRICS:
        raise InputError(f"{format_value(path)}: is larger than {MAX_METRICS:,} bytes")
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("epoch"), int):
            rows.append(row)
    return rows


def read_scalars(folder: Path, beginning: str) -> dict[str, dict[int, float]]:
    """TensorBoard's curves in a run folder whose names begin so: name to step to value, of all sittings."""
    events = folder / EVENTS
    if not events.is_dir():
        return {}
    found = EventAccumulator(str(events), {"scalars": 0})
    found.Reload()
    names = [name for name in found.Tags()["scalars"] if name.startswith(beginning)]
    return {name: {event.step: event.value for event in found.Scalars(name)} for name in names}


def _line(values: Mapping[str, Any]) -> str:
    """JSON knows no NaN: such a figure is null."""
    odd = {name: None for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)}
    return json.dumps({**values, **odd}) + "\n"
