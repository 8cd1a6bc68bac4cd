"""The folder of a run: created, locked, described and resumed."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import yaml

from nas.cli.config import RunConfig, RunSettings
from nas.cli.resume_checks import check_repeated
from nas.cli.sweep import AlreadyFinishedError, Job, current_job
from nas.core.dataclass_config import build, dotted_keys
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.json_text import format_json
from nas.core.limits import MAX_SESSIONS
from nas.core.run_files import CONFIG, ENVIRONMENT, LOCK
from nas.core.run_names import run_name, swept_name
from nas.core.shell_quoting import quote_setting
from nas.engine.optimizer import WeightSettings
from nas.reports.run_folder import is_finished, read_config, read_sessions
from nas.runtime.environment import environment
from nas.runtime.lock import folder_lock
from nas.runtime.run_format import RUN_FORMAT
from nas.search.settings import AlphaSettings
from nas.storage.atomic_files import error_reason, make_folders, write_file
from nas.storage.folder_checks import check_run_folder

_MAY_CHANGE = (  # settings that may differ when a run is resumed
    "ops",
    "device",
    "execution",
    "grad_checkpoint",
    "cuda_graphs",
    "threads",
    "max_minutes",
    "checkpoint_every",
    "keep_checkpoints",
    "on_nan",
    "warning_signal",
    "resume",
    "resume_anyway",
    "run",
)
_RUNS = Path("runs")

Config = TypeVar("Config", bound=RunConfig)


def resolve_resume(config: Config, overrides: list[str]) -> tuple[Config, Path | None]:
    """Return the stored configuration and the folder of the run to resume; None as the folder of a new run.

    ``resume=true`` looks in ``run.dir`` or under the run's default name, and starts a new run if there is none;
    ``resume=PATH`` must find a run. Settings on the command line must agree with those of the run, except for a few
    that may change. Raises :class:`InputError`.
    """
    if (job := current_job()) is not None and not isinstance(config.resume, str):
        config = _in_sweep(config, job)
    if config.resume is False:
        return config, None
    folder = Path(config.resume) if isinstance(config.resume, str) else _folder_to_resume(config)
    check_run_folder(folder)  # before anything in it is read
    if not (folder / CONFIG).is_file():
        if isinstance(config.resume, str):
            raise InputError(f"resume={format_value(folder)}: holds no run, {CONFIG} is missing")
        return config, None
    given = asdict(config)
    changeable = {key: given[key] for key in _MAY_CHANGE if key in given}
    stored = read_config(folder)
    _check_complete(type(config), stored, folder)
    stored = {key: value for key, value in changeable.items() if key != "ops"} | stored  # the run may lack new settings
    comparable = asdict(build(type(config), stored | changeable))
    keys = [re.split(r"[=@]", override.lstrip("+~"))[0] for override in overrides]
    if "preset" not in keys:
        _check_agrees(given, comparable, keys, folder)
    elif config.resume is True:  # the run's own command line, repeated
        _check_agrees(given, comparable, dotted_keys(type(config)), folder, typed=keys)
    else:
        raise InputError(f"preset: resume={folder} keeps the settings of that run; leave the preset out")
    check_repeated(stored, keys, folder)
    if config.run.dir is not None and Path(config.run.dir).resolve() != folder.resolve():
        raise InputError(f"run.dir={config.run.dir}: differs from the folder of resume={folder}; leave one of them out")
    changed = {key: given[key] for key in _MAY_CHANGE if key in keys}
    return build(type(config), stored | changed), folder


def _in_sweep(config: Config, job: Job) -> Config:
    """Return the configuration of a sweep's job with its folder: that of a run with the same settings, or a new one.

    A run that has not finished is resumed. Raises :class:`AlreadyFinishedError` if there is nothing to do.
    """
    if config.run.dir is None:
        default = _default_folder(config)
        first = default.with_name(swept_name(default.name, job.swept))
        names = (first if number == 1 else first.with_name(f"{first.name}-{number}") for number in count(1))
        job.folder = next(folder for folder in names if not folder.exists() or _has_settings(folder, config))
    else:
        job.folder = Path(config.run.dir)
    if not _has_settings(job.folder, config):
        return replace(config, run=RunSettings(str(job.folder)))
    if is_finished(job.folder):
        raise AlreadyFinishedError
    return replace(config, run=RunSettings(str(job.folder)), resume=True)


def _has_settings(folder: Path, config: RunConfig) -> bool:
    """Return whether the run in ``folder`` has the settings of ``config``, except those that may change."""
    given = asdict(config)
    changeable = {key: given[key] for key in _MAY_CHANGE if key in given}
    try:
        check_run_folder(folder)
        stored = asdict(build(type(config), read_config(folder) | changeable))
    except InputError:
        return False
    return stored == given


def _check_complete(kind: type[RunConfig], stored: dict[str, Any], folder: Path) -> None:
    """Raise :class:`InputError` if a setting without which no run was ever stored is missing, despite its default."""
    groups = {"weights": WeightSettings, "alphas": AlphaSettings}
    names = [field.name for field in fields(kind) if not field.kw_only and field.name not in _MAY_CHANGE]
    names += [f"{key}.{field.name}" for key, group in groups.items() if key in names for field in fields(group)]
    for name in names:
        key, _, inner = name.partition(".")
        if key not in stored or (inner and isinstance(stored[key], dict) and inner not in stored[key]):
            raise InputError(f"{folder / CONFIG}: {name} is missing")


@contextmanager
def run_folder(config: RunConfig, resumed: Path | None) -> Iterator[Callable[[], Path]]:
    """Yield a function that opens the run's folder, which is locked for this process until the block ends.

    It is to be called once, after all other checks: it creates the folder of a new run, records configuration and
    environment, and returns the folder. ``resumed`` is the folder of a run to resume. Raises :class:`InputError` for a
    folder that another process uses, and for a new run in a folder that is not empty.
    """
    with ExitStack() as locks:
        if resumed is not None:
            locks.enter_context(folder_lock(resumed))
        else:
            _check_empty(config)

        def open_folder() -> Path:
            folder = resumed or _create(config, locks)
            for temporary in folder.rglob(".*.tmp"):  # left by a process killed while writing
                temporary.unlink(missing_ok=True)
            write_run_record(config, folder)
            return folder

        yield open_folder


def _check_empty(config: RunConfig) -> None:
    if config.run.dir is None:
        return
    folder = Path(config.run.dir)
    try:
        empty = not folder.exists() or (folder.is_dir() and all(map(_is_leftover, folder.iterdir())))
    except (OSError, ValueError) as error:  # such as a name of 300 characters
        raise InputError(f"run.dir={format_value(folder)}: cannot be used ({error_reason(error)})") from error
    if not empty:
        resume = quote_setting("resume", folder)
        raise InputError(f"run.dir={folder}: already exists; resume it with {resume}, or choose another folder")
    check_run_folder(folder)


def _create(config: RunConfig, locks: ExitStack) -> Path:
    """Create and lock ``run.dir``, or the default folder, with a number after its name if the name is taken."""
    first = _default_folder(config) if config.run.dir is None else Path(config.run.dir)
    try:
        for number in count(1):
            folder = first if number == 1 else first.with_name(f"{first.name}-{number}")
            try:
                make_folders(folder.parent)
                folder.mkdir(exist_ok=config.run.dir is not None)
                break
            except FileExistsError:  # perhaps just created by another process
                if config.run.dir is not None:
                    raise
    except (OSError, ValueError) as error:
        raise InputError(f"{format_value(first)}: cannot be written ({error_reason(error)})") from error
    locks.enter_context(folder_lock(folder))
    _check_empty(config)  # again, now that no other process can write to it
    return folder


def unused_folder(folder: Path) -> Path:
    """Return ``folder``, with a number after its name if the name is taken."""
    unused, number = folder, 1
    while unused.exists():
        number += 1
        unused = folder.with_name(f"{folder.name}-{number}")
    return unused


def _is_leftover(path: Path) -> bool:
    """Return True for the lock or the partly written first file of a run that was killed before it started."""
    return path.name == LOCK or (path.name.startswith(f".{CONFIG}.") and path.name.endswith(".tmp"))


def write_run_record(config: RunConfig, folder: Path) -> None:
    """Write the resolved configuration, if there is none yet, and add this session's environment."""
    if not (folder / CONFIG).exists():
        stored = {"format": RUN_FORMAT, **asdict(replace(config, resume=False))}
        write_file(folder / CONFIG, yaml.safe_dump(stored, sort_keys=False).encode())
    sessions = [*read_sessions(folder)[1 - MAX_SESSIONS :], {"seed": config.seed, **environment()}]
    write_file(folder / ENVIRONMENT, format_json(sessions, indent=1).encode())


def _default_folder(config: RunConfig) -> Path:
    return _RUNS / run_name(config.title, config.data.name, config.seed)


def _folder_to_resume(config: RunConfig) -> Path:
    """Return the folder that ``resume=true`` looks in: ``run.dir``, or the newest run with the default name."""
    if config.run.dir is not None:
        return Path(config.run.dir)
    first = _default_folder(config)
    older = first.with_name(f"{config.title}-{config.data.name}-seed{config.seed}")  # its name in earlier versions
    if not first.exists() and older.exists():
        first = older
    pattern = re.compile(re.escape(first.name) + r"-([1-9][0-9]{0,8})")  # str.isdigit is true of "²" too
    names = [path.name for path in first.parent.iterdir()] if first.parent.is_dir() else []
    numbers = [int(match[1]) for match in map(pattern.fullmatch, names) if match]
    return first.with_name(f"{first.name}-{max(numbers)}") if numbers else first


def _check_agrees(
    given: dict[str, Any], stored: dict[str, Any], keys: list[str], folder: Path, typed: list[str] | None = None
) -> None:
    """Raise :class:`InputError` if the run has another value for one of ``keys``; not all of them were ``typed``."""
    for key in keys:
        if key.split(".")[0] in _MAY_CHANGE:
            continue
        path = ["data", "name"] if key == "data" else key.split(".")
        new, old = _value(given, path), _value(stored, path)
        if new == old or isinstance(new, dict):
            continue
        if typed is not None and not any(key == word or key.startswith(f"{word}.") for word in typed):
            # it comes from the preset, which may have changed since
            how = f"continue it with {quote_setting('resume', folder)} and without the preset, or start a new run"
            raise InputError(f"{key}={new}: of the preset; the run in {folder} has {key}={old}; {how}")
        raise InputError(f"{key}={new}: the run in {folder} has {key}={old}; leave it out, or start a new run")


def _value(tree: Any, path: list[str]) -> Any:
    for part in path:
        tree = tree[part] if isinstance(tree, dict) else None
    return tree
