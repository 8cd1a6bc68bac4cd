"""The folder of a run: found, described, and taken up again."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import yaml

from nas.cli.config import RunConfig
from nas.cli.dataclass_config import build, dotted_keys
from nas.cli.resume_checks import check_repeated
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.limits import MAX_SESSIONS
from nas.core.run_files import CONFIG, ENVIRONMENT, LOCK
from nas.core.shell_quoting import quote_setting
from nas.reports.run_folder import read_sessions
from nas.runtime.environment import environment
from nas.runtime.lock import folder_lock
from nas.storage.atomic_files import error_reason, make_folders, write_file
from nas.storage.folder_checks import check_run_folder
from nas.storage.yaml_file import read_mapping

MAY_CHANGE = (  # from one sitting to the next
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
RUNS = Path("runs")

Config = TypeVar("Config", bound=RunConfig)


def resolve_resume(config: Config, overrides: list[str]) -> tuple[Config, Path | None]:
    """The run that ``config.resume`` means: its stored configuration, and its folder; None where the run is new.

    ``resume=true`` means the folder that ``run.dir`` or the run's default name gives, and begins where nothing is
    there; ``resume=PATH`` must find a run. What the command line says must agree with what the folder holds, save
    for what may change from one sitting to the next. Raises :class:`InputError`.
    """
    if config.resume is False:
        return config, None
    folder = Path(config.resume) if isinstance(config.resume, str) else _expected(config)
    check_run_folder(folder)  # before anything in it is read
    if not (folder / CONFIG).is_file():
        if isinstance(config.resume, str):
            raise InputError(f"resume={format_value(folder)}: no run is there, {CONFIG} is missing")
        return config, None
    given = asdict(config)
    free = {key: given[key] for key in MAY_CHANGE if key in given}
    told = read_mapping(folder / CONFIG)
    saved = {key: value for key, value in free.items() if key != "ops"} | told  # some settings are younger than the run
    stored = asdict(build(type(config), saved | free))
    keys = [re.split(r"[=@]", override.lstrip("+~"))[0] for override in overrides]
    if "preset" not in keys:
        _check_agrees(given, stored, keys, folder)
    elif config.resume is True:  # the run's own command line once more
        _check_agrees(given, stored, dotted_keys(type(config)), folder)
    else:
        raise InputError(f"preset: resume={folder} goes on with the settings of that run; leave the preset out")
    check_repeated(saved, keys, folder)
    if config.run.dir is not None and Path(config.run.dir).resolve() != folder.resolve():
        raise InputError(f"run.dir={config.run.dir}: resume={folder} goes on in that folder; leave one of them out")
    changed = {key: given[key] for key in MAY_CHANGE if key in keys}
    return build(type(config), saved | changed), folder


@contextmanager
def run_folder(config: RunConfig, found: Path | None) -> Iterator[Callable[[], Path]]:
    """Within the block the run's folder is this process's alone; the function that is given begins the sitting.

    It is to be called once, when all that can be wrong has been said: it makes the folder of a new run and writes down
    how the run was called. ``found`` is that of a run that goes on. Raises :class:`InputError` for a folder that
    another process works in, and for a new run in one that is not empty.
    """
    with ExitStack() as held:
        if found is not None:
            held.enter_context(folder_lock(found))
        else:
            _check_empty(config)

        def begin() -> Path:
            folder = found or _make(config, held)
            for left in folder.rglob(".*.tmp"):  # by a kill in the middle of writing
                left.unlink(missing_ok=True)
            write_run_record(config, folder)
            return folder

        yield begin


def _check_empty(config: RunConfig) -> None:
    if config.run.dir is None:
        return
    folder = Path(config.run.dir)
    try:
        empty = not folder.exists() or (folder.is_dir() and all(map(_is_left_over, folder.iterdir())))
    except (OSError, ValueError) as error:  # a name of 300 characters, say
        raise InputError(f"run.dir={format_value(folder)}: cannot be used ({error_reason(error)})") from error
    if not empty:
        raise InputError(
            f"run.dir={folder}: is there already; go on with {quote_setting('resume', folder)}, or choose another"
        )
    check_run_folder(folder)


def _make(config: RunConfig, held: ExitStack) -> Path:
    """``run.dir``, or the default name with a number behind it where the name is taken: made and locked."""
    first = _default(config) if config.run.dir is None else Path(config.run.dir)
    try:
        for number in count(1):
            folder = first if number == 1 else first.with_name(f"{first.name}-{number}")
            try:
                make_folders(folder.parent)
                folder.mkdir(exist_ok=config.run.dir is not None)
                break
            except FileExistsError:  # perhaps only now, by another process
                if config.run.dir is not None:
                    raise
    except (OSError, ValueError) as error:
        raise InputError(f"{format_value(first)}: cannot be written ({error_reason(error)})") from error
    held.enter_context(folder_lock(folder))
    _check_empty(config)  # once more, now that nobody else can write to it
    return folder


def unused_folder(folder: Path) -> Path:
    """``folder``, with a number behind its name while the name is taken."""
    found, number = folder, 1
    while found.exists():
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found


def _is_left_over(path: Path) -> bool:
    """Whether a run that was killed before it had begun leaves this: its lock, or the first file, half written."""
    return path.name == LOCK or (path.name.startswith(f".{CONFIG}.") and path.name.endswith(".tmp"))


def write_run_record(config: RunConfig, folder: Path) -> None:
    """Write the resolved configuration and the environment into the run's folder; a later sitting adds its own."""
    if not (folder / CONFIG).exists():
        stored = asdict(replace(config, resume=False))
        write_file(folder / CONFIG, yaml.safe_dump(stored, sort_keys=False).encode())
    sessions = [*read_sessions(folder)[1 - MAX_SESSIONS :], {"seed": config.seed, **environment()}]
    write_file(folder / ENVIRONMENT, json.dumps(sessions, indent=1).encode())


def _default(config: RunConfig) -> Path:
    return RUNS / f"{config.title}-{config.data.name}-seed{config.seed}"


def _expected(config: RunConfig) -> Path:
    """Where ``resume=true`` looks: ``run.dir``, or the newest run of the default name."""
    if config.run.dir is not None:
        return Path(config.run.dir)
    first = _default(config)
    pattern = re.compile(re.escape(first.name) + r"-([1-9][0-9]{0,8})")  # str.isdigit is true of "²" too
    names = [path.name for path in first.parent.iterdir()] if first.parent.is_dir() else []
    numbers = [int(match[1]) for match in map(pattern.fullmatch, names) if match]
    return first.with_name(f"{first.name}-{max(numbers)}") if numbers else first


def _check_agrees(given: dict[str, Any], stored: dict[str, Any], keys: list[str], folder: Path) -> None:
    for key in keys:
        if key.split(".")[0] in MAY_CHANGE:
            continue
        path = ["data", "name"] if key == "data" else key.split(".")
        new, old = _value(given, path), _value(stored, path)
        if new != old and not isinstance(new, dict):
            raise InputError(f"{key}={new}: the run in {folder} has {key}={old}; leave it out, or start a new run")


def _value(tree: Any, path: list[str]) -> Any:
    for part in path:
        tree = tree[part] if isinstance(tree, dict) else None
    return tree
