"""Configurations composed by Hydra, with one-line errors."""

import argparse
import functools
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, OverrideParseException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas.cli.exit_codes import run_and_exit
from nas.cli.registered_data import registered_data
from nas.cli.renamed_overrides import rename_overrides
from nas.cli.setting_help import setting_keys
from nas.cli.sweep import Sweep
from nas.core.dataclass_config import build, dotted_keys
from nas.core.deprecation import RENAMED_SETTINGS
from nas.core.errors import InputError
from nas.core.paths import shipped_folder
from nas.core.registry import nearest

Config = TypeVar("Config")

# Hydra 1.3 without it behaves like 1.1 and warns; Hydra 1.4 warns if it is there.
_VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3") else {}


_Task = Callable[[Any, list[str]], None]


def run_command(name: str, load: Callable[[], tuple[type[Any], _Task]], arguments: Sequence[str]) -> None:
    """Run a task ``(config, overrides)`` with ``conf/<name>.yaml`` and command line ``arguments``.

    ``load()`` returns the class of its configuration and the task; it is not called for the completion of settings.
    ``conf/<name>/`` holds the groups of this command alone, such as its presets. The exit codes are those of
    :func:`nas.cli.exit_codes.run_and_exit`.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them
    use_command_groups(name)
    composed = False  # errors raised before come from the command line
    typed, sweep = sys.argv, Sweep(arguments)

    def work(config: DictConfig) -> None:
        nonlocal composed
        try:
            data = OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException as error:
            raise InputError(_explain(error, [])) from error
        composed = True
        kind, task = load()
        task(_build(kind, data), list(HydraConfig.get().overrides.task))

    def run_job(config: DictConfig) -> None:
        nonlocal composed
        sys.argv = typed  # the command that a run records
        sweep.run(HydraConfig.get().overrides.task, lambda: run_and_exit(lambda: work(config)))
        composed = False  # a sweep composes its next configuration

    def compose_and_run() -> None:
        main = hydra.main(config_path=str(shipped_folder("conf")), config_name=name, **_VERSION_BASE)
        try:
            with accept_lazy_help(), _command_line(known_overrides(arguments)):  # Hydra reads it
                main(run_job)()
        except Exception as error:
            if composed or isinstance(error, InputError | BrokenPipeError):
                raise
            raise InputError(_explain(error, setting_keys(name))) from error

    run_and_exit(compose_and_run)
    sweep.end()


@contextmanager
def _command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Replace the command line's arguments."""
    typed = sys.argv
    sys.argv = [typed[0], *arguments]
    try:
        yield
    finally:
        sys.argv = typed


def compose(name: str, kind: type[Config], overrides: Sequence[str]) -> Config:
    """Return ``conf/<name>.yaml`` with ``overrides`` (key=value) as a ``kind``, for commands with their own options.

    Raises :class:`InputError`.
    """
    use_command_groups(name)
    overrides = known_overrides(overrides)
    try:
        with initialize_hydra():
            data = OmegaConf.to_container(hydra.compose(name, overrides), resolve=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(_explain(error, dotted_keys(kind), sweeps=False)) from error
    return _build(kind, data)


def _build(kind: type[Config], data: Any) -> Config:
    """Return a ``kind`` of the composed ``data``; a deleted key (``~epochs``) is missed despite its default."""
    for key in dotted_keys(kind):
        group, _, name = key.rpartition(".")
        values = data.get(group) if group else data
        if isinstance(values, dict) and name not in values:
            raise InputError(f"{key} is missing")
    return build(kind, data)


def known_overrides(arguments: Sequence[str]) -> list[str]:
    """Return command line ``arguments`` as Hydra's files can be overridden."""
    return add_method_settings(registered_data(rename_overrides(arguments, RENAMED_SETTINGS)))


def add_method_settings(arguments: Sequence[str]) -> list[str]:
    """Return command line ``arguments`` that add the settings ``methods.NAME.KEY``, which no file lists."""
    return [f"++{argument}" if argument.startswith("methods.") else argument for argument in arguments]


def initialize_hydra() -> hydra.initialize_config_dir:
    """Return the context in which ``hydra.compose`` reads the shipped ``conf/``."""
    return hydra.initialize_config_dir(str(shipped_folder("conf")), **_VERSION_BASE)


@contextmanager
def accept_lazy_help() -> Iterator[None]:
    """Let Hydra 1.3 build its argument parser on Python 3.14.

    There, argparse validates each help text as soon as it is added, but Hydra adds an object that becomes text only
    when printed. Strings are still validated. Hydra 1.4 has this fix built in.
    """
    validate = getattr(argparse.ArgumentParser, "_check_help", None)
    if validate is None:  # Python 3.13 and earlier
        yield
        return

    def validate_text(parser: argparse.ArgumentParser, action: argparse.Action) -> None:
        if isinstance(action.help, str):
            validate(parser, action)

    argparse.ArgumentParser._check_help = validate_text  # type: ignore[attr-defined]
    try:
        yield
    finally:
        argparse.ArgumentParser._check_help = validate  # type: ignore[attr-defined]


class CommandGroups(SearchPathPlugin):
    """Hydra search path that includes the groups in ``conf/<command>/``."""

    command = ""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the running command's folder."""
        search_path.append(provider=self.command, path=str(shipped_folder("conf") / self.command))


def use_command_groups(command: str) -> None:
    """Let Hydra find the groups of ``command`` alone."""
    CommandGroups.command = command
    _register()


@functools.cache
def _register() -> None:
    Plugins.instance().register(CommandGroups)


def _hint(key: str, keys: Collection[str]) -> str:
    """Return what to write instead of an unknown key: the settings of groups with this name, or the nearest ones."""
    inner = [known for known in keys if known.endswith(f".{key}")]
    return f"write {' or '.join(inner)}" if inner else nearest(key, keys)


def _explain(error: Exception, keys: Collection[str], sweeps: bool = True) -> str:
    """Return Hydra's error as one line in the user's words."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        hint = "quote a value that has =, commas, brackets or spaces: key='\"value\"'"
        return f"{error.override}: cannot be read as key=value; {hint}"
    if match := re.search(r"Could not override '([^']+)'", text):
        key = match[1]
        return f"{key}: its group was removed" if key in keys else f"unknown key {key}: {_hint(key, keys)}"
    if match := re.search(r"Multiple values for ([^\s.]+)|An item is already at '([^']+)'", text):
        key = match[1] or match[2]
        return f"{key}: is already set; give {key}=<value> once, without +"
    if match := re.search(r"Ambiguous value for argument '(.*?)'\n", text):
        several = "several values need -m, which runs them in turn" if sweeps else "this command takes one value"
        return f"{match[1]}: {several}; quote a value that has commas"
    if match := re.search(r"Could not find '([^']+)/([^'/]*)'[^\t]*Available options in '[^']+':\n((?:\t.*\n)*)", text):
        own = "; one of your own is data=FILE.py, or needs ops=FILE, which registers it" if match[1] == "data" else ""
        return f"{match[1]}={match[2]}: {nearest(match[2], match[3].split())}{own}"
    if text.startswith("Config group override must be"):
        return "null: cannot be chosen for a group, as in preset=null; allowed: a name that the group has"
    return " ".join(text.partition("\nSee http")[0].split())
