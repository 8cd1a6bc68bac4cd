"""A command's configuration: composed by Hydra, with errors of one line each."""

import argparse
import functools
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, OverrideParseException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas.cli.dataclass_config import build, dotted_keys
from nas.cli.exit_codes import run_and_exit
from nas.core.errors import InputError
from nas.core.paths import shipped_folder
from nas.core.registry import nearest

Config = TypeVar("Config")

# Hydra 1.3 without it behaves like 1.1 and warns; Hydra 1.4 warns if it is there.
_VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3") else {}


def run_command(name: str, kind: type[Config], task: Callable[[Config, list[str]], None]) -> None:
    """Run ``task(config, overrides)`` with ``conf/<name>.yaml`` as a ``kind`` and the command line's overrides.

    ``conf/<name>/`` holds the groups that belong to this command alone, such as its presets. The process exits as
    :func:`nas.cli.exit_codes.run_and_exit` says.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed at length
    use_own_groups(name)
    at_work = False  # errors raised before come from reading the command line

    def work(config: DictConfig) -> None:
        nonlocal at_work
        try:
            data = OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException as error:
            raise InputError(_explain(error, [])) from error
        at_work = True
        overrides = list(HydraConfig.get().overrides.task)
        task(build(kind, data), overrides)  # type: ignore[arg-type]  # a configuration is a mapping of text
        at_work = False  # a sweep reads its next command line

    def compose_and_work() -> None:
        main = hydra.main(config_path=str(shipped_folder("conf")), config_name=name, **_VERSION_BASE)
        try:
            with lazy_help_accepted():
                main(lambda config: run_and_exit(lambda: work(config)))()
        except Exception as error:
            if at_work or isinstance(error, InputError):
                raise
            raise InputError(_explain(error, dotted_keys(kind))) from error

    run_and_exit(compose_and_work)


def compose(name: str, kind: type[Config], overrides: Sequence[str]) -> Config:
    """Return ``conf/<name>.yaml`` with ``overrides`` (key=value) as a ``kind``, for commands with their own options.

    Raises :class:`InputError`.
    """
    use_own_groups(name)
    try:
        with initialize_hydra():
            data = OmegaConf.to_container(hydra.compose(name, list(overrides)), resolve=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(_explain(error, dotted_keys(kind), sweeps=False)) from error
    return build(kind, data)  # type: ignore[arg-type]  # a configuration is a mapping of text


def initialize_hydra() -> hydra.initialize_config_dir:
    """Return the context in which ``hydra.compose`` reads the shipped ``conf/``."""
    return hydra.initialize_config_dir(str(shipped_folder("conf")), **_VERSION_BASE)


@contextmanager
def lazy_help_accepted() -> Iterator[None]:
    """Let Hydra 1.3 make its argument parser on Python 3.14.

    Argparse validates each help text there as soon as it is added, and Hydra adds one that is no string but an object
    printed later. Texts are validated as before. Hydra 1.4 does the same itself.
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


class OwnGroups(SearchPathPlugin):
    """A search path for Hydra that includes the groups in ``conf/<command>/``."""

    command = ""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the running command's folder."""
        search_path.append(provider=self.command, path=str(shipped_folder("conf") / self.command))


def use_own_groups(command: str) -> None:
    """Let Hydra find the groups that belong to ``command`` alone."""
    OwnGroups.command = command
    _register()


@functools.cache
def _register() -> None:
    Plugins.instance().register(OwnGroups)


def _explain(error: Exception, keys: Collection[str], sweeps: bool = True) -> str:
    """Return Hydra's error as one line in the user's words."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        hint = "a value with =, commas, brackets or spaces wants quotes: key='\"value\"'"
        return f"{error.override}: cannot be read as key=value; {hint}"
    if match := re.search(r"Could not override '([^']+)'", text):
        key = match[1]
        return f"{key}: its group was taken out" if key in keys else f"unknown key {key}: {nearest(key, keys)}"
    if match := re.search(r"Multiple values for ([^\s.]+)|An item is already at '([^']+)'", text):
        key = match[1] or match[2]
        return f"{key} is there already: give {key}=<value>, once and without +"
    if match := re.search(r"Ambiguous value for argument '(.*?)'\n", text):
        several = "several values want -m, which runs one after the other" if sweeps else "this command takes one value"
        return f"{match[1]}: {several}; a value with commas wants quotes"
    if match := re.search(r"Could not find '([^']+)/([^'/]*)'[^\t]*Available options in '[^']+':\n((?:\t.*\n)*)", text):
        return f"{match[1]}={match[2]}: {nearest(match[2], match[3].split())}"
    if text.startswith("Config group override must be"):
        return "null for a group, such as preset=null: a group takes one of its names"
    return text.partition("\nSee http")[0]
