"""How a command reads its configuration: Hydra composes it, and its errors become one line each."""

import functools
import os
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, OverrideParseException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas.cli.convert import build, dotted_keys
from nas.cli.leave import leave
from nas.core.errors import InputError
from nas.core.registry import nearest
from nas.core.resources import folder

Config = TypeVar("Config")


def run_command(name: str, kind: type[Config], task: Callable[[Config, list[str]], None]) -> None:
    """Run ``task(config, overrides)``: ``conf/<name>.yaml`` as a ``kind``, and the command line that went into it.

    ``conf/<name>/`` holds the groups that belong to this command alone, such as its presets. Leaves the process as
    :func:`nas.cli.leave.leave` does.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed at length
    _add_groups(name)

    def call(config: DictConfig) -> None:
        overrides = list(HydraConfig.get().overrides.task)
        leave(lambda: task(build(kind, OmegaConf.to_container(config, resolve=True)), overrides))  # type: ignore[arg-type]

    def compose_and_call() -> None:
        try:
            hydra.main(version_base="1.3", config_path=str(folder("conf")), config_name=name)(call)()
        except (HydraException, OmegaConfBaseException) as error:
            raise InputError(_explain(error, dotted_keys(kind))) from error

    leave(compose_and_call)


@functools.cache
def _add_groups(name: str) -> None:
    """Let Hydra look for groups in ``conf/<name>/`` too."""

    class OwnGroups(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            search_path.append(provider=name, path=str(folder("conf") / name))

    Plugins.instance().register(OwnGroups)


def _explain(error: Exception, keys: Iterable[str]) -> str:
    """What Hydra means, in one line and in the words that the user typed."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        hint = "a value with =, commas, brackets or spaces wants quotes: key='\"value\"'"
        return f"{error.override}: cannot be read as key=value; {hint}"
    if match := re.search(r"Could not override '([^']+)'", text):
        return f"unknown key {match[1]}: {nearest(match[1], keys)}"
    if match := re.search(
        r"Could not find '([^']+)/([^'/]*)'.*?Available options in '[^']+':\n((?:\t.*\n)*)", text, re.S
    ):
        return f"{match[1]}={match[2]}: {nearest(match[2], match[3].split())}"
    return text.partition("\nSee http")[0]
