"""Curves and images that TensorBoard would show of a run folder."""

from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event, SessionLog

TIMES = ("seconds", "images_per_second")

Point = tuple[str, int]  # the name of a curve or picture, and its step


def curves(folder: Path) -> tuple[dict[Point, bytes], list[Point]]:
    """Return the value at every point, except times, and the points that occur twice.

    As in TensorBoard, points that a later session removes at its start are left out, and so is a record that a kill cut
    off. Sessions are ordered by their first event, as file names hold whole seconds only.
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
