"""The curves and pictures that TensorBoard would show of a run folder."""

from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event, SessionLog

TIMES = ("seconds", "images_per_second")

Point = tuple[str, int]  # the name of a curve or picture, and its step


def curves(folder: Path) -> tuple[dict[Point, bytes], list[Point]]:
    """The value at every point, times aside, and the points that stand twice: a doubled row.

    As TensorBoard does, what a sitting says at its start to have been taken back is left out, and a record that a kill
    cut off. Sittings go by their first event: files are named after whole seconds only.
    """
    files = [list(EventFileLoader(str(path)).Load()) for path in sorted((folder / "tensorboard").iterdir())]
    found: dict[Point, bytes] = {}
    twice = []
    for events in sorted(filter(None, files), key=lambda events: events[0].wall_time):
        for event in events:
            if _starts(event):
                found = {point: value for point, value in found.items() if point[1] < event.step}
            for value in event.summary.value:
                point = (value.tag, event.step)
                if value.tag not in TIMES:
                    twice += [point] if point in found else []
                    found[point] = value.tensor.SerializeToString()
    return found, twice


def _starts(event: Event) -> bool:
    return event.HasField("session_log") and event.session_log.status == SessionLog.START
