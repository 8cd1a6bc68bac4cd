"""The settings that a search method changes: they win over a preset, and the command line wins over them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nas.cli.config import SearchConfig
from nas.ops.registry import load_user_operators
from nas.search.methods import method_settings, methods


def apply_method(config: SearchConfig, overrides: Sequence[str]) -> SearchConfig:
    """Return ``config`` with the settings that its method changes, except those that ``overrides`` (key=value) set.

    Raises :class:`InputError` for an unknown method, after the user's file, if there is one, has registered its own.
    """
    if config.ops is not None and not all(name.strip() in methods for name in config.method.split("+")):
        load_user_operators(config.ops)
    typed = {re.split(r"[=@]", override.lstrip("+~"))[0] for override in overrides}
    for key, value in method_settings(config.method, typed).items():
        config = _with_setting(config, key.split("."), value)
    return config


def _with_setting(config: Any, path: Sequence[str], value: object) -> Any:
    name, *rest = path
    return replace(config, **{name: _with_setting(getattr(config, name), rest, value) if rest else value})
