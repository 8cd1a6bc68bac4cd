"""The folder of a run: found, described, and taken up again."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from nas.cli.config import RunConfig
from nas.cli.convert import build, dotted_keys
from nas.core.environment import environment
from nas.core.errors import InputError
from nas.core.files import write_file
from nas.engine.run_folder import CONFIG, ENVIRONMENT, read_sittings
from nas.graph.yamlfile import read_mapping

MAY_CHANGE = (  # from one sitting to the next
    "device",
    "execution",
    "grad_checkpoint",
    "threads",
    "max_minutes",
    "resume",
    "run",
)
RUNS = Path("runs")

Config = TypeVar("Config", bound=RunConfig)


def take_up(config: Config, overrides: list[str]) -> tuple[Config, Path] | None:
    """The run that ``config.resume`` means: its stored configuration, and its folder; None where there is none yet.

    ``resume=true`` means the folder that ``run.dir`` or the run's default name gives, and begins where nothing is
    there; ``resume=PATH`` must find a run. What the command line says must agree with what the folder holds, save
    for what may change from one sitting to the next. Raises :class:`InputError`.
    """
    if config.resume is False:
        return None
    folder = Path(config.resume) if isinstance(config.resume, str) else _expected(config)
    if not (folder / CONFIG).is_file():
        if isinstance(config.resume, str):
            raise InputError(f"resume={config.resume}: no run is there, {CONFIG} is missing")
        return None
    given, saved = asdict(config), read_mapping(folder / CONFIG)
    free = {key: given[key] for key in MAY_CHANGE if key in given}
    stored = asdict(build(type(config), saved | free))  # with the defaults of settings younger than the run
    keys = [re.split(r"[=@]", override.lstrip("+~"))[0] for override in overrides]
    if "preset" not in keys:
        _check_agrees(given, stored, keys, folder)
    elif config.resume is True:  # the run's own command line once more
        _check_agrees(given, stored, dotted_keys(type(config)), folder)
    else:
        raise InputError(f"preset: resume={folder} goes on with the settings of that run; leave the preset out")
    if config.run.dir is not None and Path(config.run.dir).resolve() != folder.resolve():
        raise InputError(f"run.dir={config.run.dir}: resume={folder} goes on in that folder; leave one of them out")
    changed = {key: given[key] for key in MAY_CHANGE if key in keys}
    return build(type(config), saved | changed), folder


def new_folder(config: RunConfig) -> Path:
    """A folder for a new run: ``run.dir``, or the default name with a number behind it while the name is taken."""
    if config.run.dir is None:
        return unused(_default(config))
    folder = Path(config.run.dir)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"run.dir={folder}: is there already; go on with resume={folder}, or choose another")
    return folder


def unused(folder: Path) -> Path:
    """``folder``, with a number behind its name while the name is taken."""
    found, number = folder, 1
    while found.exists():
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found


def describe_run(config: RunConfig, folder: Path) -> None:
    """Write the resolved configuration and the environment into the run's folder; a later sitting adds its own."""
    if not (folder / CONFIG).exists():
        stored = asdict(replace(config, resume=False))
        write_file(folder / CONFIG, yaml.safe_dump(stored, sort_keys=False).encode())
    sittings = [*read_sittings(folder), {"seed": config.seed, **environment()}]
    write_file(folder / ENVIRONMENT, json.dumps(sittings, indent=1).encode())


def _default(config: RunConfig) -> Path:
    return RUNS / f"{config.title}-{config.data.name}-seed{config.seed}"


def _expected(config: RunConfig) -> Path:
    """Where ``resume=true`` looks: ``run.dir``, or the newest run of the default name."""
    if config.run.dir is not None:
        return Path(config.run.dir)
    first = _default(config)
    numbered = [path for path in first.parent.glob(f"{first.name}-*") if path.name[len(first.name) + 1 :].isdigit()]
    return max(numbered, key=lambda path: int(path.name.rpartition("-")[2]), default=first)


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
