"""A run started from Python: its settings, its folder, and Ctrl-C."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import torch

from nas.core.dataclass_config import build
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.json_text import format_json
from nas.core.limits import MAX_SESSIONS
from nas.core.registry import nearest
from nas.core.run_files import CONFIG, ENVIRONMENT, LOCK, SETTINGS
from nas.core.validation import require
from nas.data.augment import AugmentSettings
from nas.engine.fault_tolerance import FaultTolerance
from nas.runtime.environment import environment
from nas.runtime.interrupt import StopOnInterrupt
from nas.runtime.lock import folder_lock
from nas.runtime.run_format import run_format
from nas.storage.atomic_files import error_reason, make_folders, write_file
from nas.storage.folder_checks import check_run_folder
from nas.storage.json_file import read_json

Settings = TypeVar("Settings")
Folder = str | Path | None

_RUNS = Path("runs")
_MAY_CHANGE = ("execution", "grad_checkpoint", "cuda_graphs")  # settings that may differ when a run is resumed
_LATER = {"sampling": "uniform"}  # settings that older runs do not record, and what these had


@dataclass(frozen=True, kw_only=True)
class RunOptions(FaultTolerance):
    """How a run is carried out: settings that do not change what it computes, with those of fault tolerance.

    ``resume``: continue the run in the folder, if it holds one. ``device``: auto, cpu or cuda. ``max_minutes``:
    stop with a checkpoint before that time is up. Raises :class:`InputError` for an invalid value.
    """

    resume: bool = False
    device: str = "auto"
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_minutes is not None:
            require("max_minutes", self.max_minutes, self.max_minutes > 0, "must be above 0, or None")


def split_settings(given: Mapping[str, Any], kind: type[Settings]) -> tuple[Settings, RunOptions]:
    """Return keyword arguments as settings of ``kind`` and of the run; what is not given has its default.

    A group such as ``weights`` is its dataclass or a dictionary of what differs from the default. Raises
    :class:`InputError` for an unknown setting, with the nearest names, and for an invalid value.
    """
    own, others = ({field.name for field in fields(each)} for each in (kind, RunOptions))  # type: ignore[arg-type]
    for name in given:
        if name not in own | others:
            raise InputError(f"unknown setting {name!r}: {nearest(name, sorted(own | others))}")
    defaults: dict[str, Any] = asdict(kind())  # type: ignore[call-overload]
    values = {}
    for name, value in given.items():
        value = asdict(value) if hasattr(value, "__dataclass_fields__") else value
        inner = defaults.get(name)
        values[name] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, Mapping) else value
    settings = build(kind, defaults | {name: value for name, value in values.items() if name in own})
    return settings, build(RunOptions, {name: value for name, value in values.items() if name in others})


def read_augment(given: AugmentSettings | Mapping[str, Any] | None) -> AugmentSettings | None:
    """Return the settings of augmentation, from a dictionary if need be: ``{"pad": 4, "flip": True}``.

    What a dictionary leaves out is off. None: no augmentation. Raises :class:`InputError`.
    """
    if given is None or isinstance(given, AugmentSettings):
        return given
    if not isinstance(given, Mapping):
        raise InputError(f"augment: {type(given).__name__}; allowed: nas.AugmentSettings, a dictionary, or None")
    return build(AugmentSettings, {"pad": 0, "flip": False, **given}, "augment.")


class PythonRun:
    """An open run: its folder, whether it continues, and whether Ctrl-C asked it to stop."""

    def __init__(self, folder: Path, resumed: bool, interrupt: StopOnInterrupt) -> None:
        self.folder, self.resumed, self.interrupt = folder, resumed, interrupt

    def stop_if_interrupted(self, finished: bool) -> None:
        """Raise :class:`KeyboardInterrupt` if Ctrl-C ended the run before its end; a checkpoint has been written."""
        if self.interrupt.asked() and not finished:
            how = f"continue with folder={str(self.folder)!r}, resume=True"
            raise KeyboardInterrupt(f"stopped with a checkpoint; {how}")


@contextmanager
def python_run(title: str, folder: Folder, resume: bool, record: Mapping[str, Any]) -> Iterator[PythonRun]:
    """Open, lock and describe the run's folder, postpone Ctrl-C, and keep torch's global random state as it was.

    ``folder`` None is a new one under ``runs/``, named by ``title`` with a number if the name is taken. ``record`` are
    the settings: ``settings.json`` keeps them, and a resumed run must agree. Raises :class:`InputError`.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with ExitStack() as stack:
        path, resumed = _open(title, folder, resume, stack)
        _record(path, resumed, json.loads(json.dumps(record)))
        interrupt = stack.enter_context(StopOnInterrupt())
        stack.enter_context(torch.random.fork_rng(devices))
        yield PythonRun(path, resumed, interrupt)


def _open(title: str, folder: Folder, resume: bool, stack: ExitStack) -> tuple[Path, bool]:
    if folder is None and resume:
        raise InputError("resume=True: needs folder=…, the folder of the run")
    first = _RUNS / re.sub(r"[^\w.+-]+", "_", title) if folder is None else Path(folder)
    try:
        make_folders(first.parent)
        for number in count(1):
            path = first if number == 1 else first.with_name(f"{first.name}-{number}")
            try:
                path.mkdir(exist_ok=folder is not None)
                break
            except FileExistsError:
                if folder is not None:
                    raise
    except (OSError, ValueError) as error:
        raise InputError(f"{format_value(first)}: cannot be written ({error_reason(error)})") from error
    check_run_folder(path)
    stack.enter_context(folder_lock(path))
    if all(entry.name == LOCK for entry in path.iterdir()):
        return path, False
    if not (path / SETTINGS).exists():
        command = f"; it is a run of the commands: resume={path}" if (path / CONFIG).exists() else ""
        raise InputError(f"folder={format_value(path)}: holds no run from Python, {SETTINGS} is missing{command}")
    if not resume:
        raise InputError(f"folder={format_value(path)}: holds a run; continue it with resume=True, or choose another")
    return path, True


def _record(folder: Path, resumed: bool, record: dict[str, Any]) -> None:
    """Write the settings of a new run, compare those of a resumed one, and add this session's environment."""
    if resumed:
        stored = read_json(folder / SETTINGS)
        if not isinstance(stored, dict):
            raise InputError(f"{format_value(folder / SETTINGS)}: holds no settings")
        for name, value in record.items():
            if name not in _MAY_CHANGE and stored.get(name, _LATER.get(name)) != value:
                was = format_value(stored.get(name))
                raise InputError(f"{name}={format_value(value)}: the run in {format_value(folder)} has {was}")
    write_file(folder / SETTINGS, format_json({"format": run_format(folder), **record}, indent=1).encode())
    sessions = read_json(folder / ENVIRONMENT) if (folder / ENVIRONMENT).exists() else []
    sessions = [*(sessions if isinstance(sessions, list) else [])[1 - MAX_SESSIONS :], environment()]
    write_file(folder / ENVIRONMENT, format_json(sessions, indent=1).encode())
