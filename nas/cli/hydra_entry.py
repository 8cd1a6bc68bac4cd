"""How a command reads its configuration: Hydra composes it, and its errors become one line each."""

import functools
import os
import re
from collections.abc import Callable, Collection, Sequence
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


def run_command(name: str, kind: type[Config], task: Callable[[Config, list[str]], None]) -> None:
    """Run ``task(config, overrides)``: ``conf/<name>.yaml`` as a ``kind``, and the command line that went into it.

    ``conf/<name>/`` holds the groups that belong to this command alone, such as its presets. Leaves the process as
    :func:`nas.cli.exit_codes.run_and_exit` does.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed at length
    use_own_groups(name)
    at_work = False  # what is raised before comes from reading the command line

    def work(config: DictConfig) -> None:
        nonlocal at_work
        try:
            data = OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException as error:
            raise InputError(_explain(error, [])) from error
        at_work = True
        overrides = list(HydraConfig.get().overrides.task)
        task(build(kind, data), overrides)  # type: ignore[arg-type]  # a configuration is a mapping of text
        at_work = False  # a sweep goes on with the next command line

    def compose_and_work() -> None:
        main = hydra.main(version_base="1.3", config_path=str(shipped_folder("conf")), config_name=name)
        try:
            main(lambda config: run_and_exit(lambda: work(config)))()
        except Exception as error:
            if at_work or isinstance(error, InputError):
                raise
            raise InputError(_explain(error, dotted_keys(kind))) from error

    run_and_exit(compose_and_work)


def compose(name: str, kind: type[Config], overrides: Sequence[str]) -> Config:
    """``conf/<name>.yaml`` with ``overrides`` (key=value) as a ``kind``, for a command with options of its own.

    Raises :class:`InputError`.
    """
    use_own_groups(name)
    try:
        with hydra.initialize_config_dir(str(shipped_folder("conf")), version_base="1.3"):
            data = OmegaConf.to_container(hydra.compose(name, list(overrides)), resolve=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(_explain(error, dotted_keys(kind), sweeps=False)) from error
    return build(kind, data)  # type: ignore[arg-type]  # a configuration is a mapping of text


class OwnGroups(SearchPathPlugin):
    """Lets Hydra look for groups in ``conf/<command>/`` too."""

    command = ""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folder of the command that runs now."""
        search_path.append(provider=self.command, path=str(shipped_folder("conf") / self.command))


def use_own_groups(command: str) -> None:
    """Let Hydra find the groups that belong to ``command`` alone."""
    OwnGroups.command = command
    _register()


@functools.cache
def _register() -> None:
    Plugins.instance().register(OwnGroups)


def _explain(error: Exception, keys: Collection[str], sweeps: bool = True) -> str:
    """What Hydra means, in one line and in the words that the user typed."""
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
