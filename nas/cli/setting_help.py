"""The settings of a command with their defaults and explanations, read from the lines of ``conf/``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nas.core.paths import shipped_folder

_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z_]\w*):(?P<value>.*?)(?:\s+# (?P<text>.*))?")
_MORE = re.compile(r"\s+# (?P<text>.*)")
_CHOICE = re.compile(r"\s+- (?P<group>\w+): (?P<name>\w+)")


@dataclass(frozen=True)
class SettingHelp:
    """A setting: its dotted key, its default as the file spells it, and its explanation.

    ``default`` is None for a group of settings, whose explanation is a heading; ``block`` counts the blank lines above.
    """

    key: str
    default: str | None
    text: str
    block: int = 0


def read_setting_help(path: Path, prefix: str = "") -> list[SettingHelp]:
    """Return the settings in a file of ``conf/``, under ``prefix``; Hydra's own keys are left out."""
    found: list[SettingHelp] = []
    parents: list[str] = []
    block = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        if line == "hydra:":
            break
        if match := _KEY.fullmatch(line):
            parents[len(match["indent"]) // 2 :] = [match["key"]]
            if parents[0] != "defaults":
                key, value = prefix + ".".join(parents), match["value"].strip()
                found.append(SettingHelp(key, value or None, match["text"] or "", block))
        elif (more := _MORE.fullmatch(line)) and found:
            found[-1] = replace(found[-1], text=f"{found[-1].text} {more['text']}")
        elif not line:
            block += 1
    return found


def command_settings(command: str, arguments: Sequence[str] = ()) -> list[SettingHelp]:
    """Return the settings of ``search`` or ``retrain`` with the values that they have with ``arguments`` (key=value).

    ``data`` and ``preset`` among these choose files; a name that has none counts as if it were not given.
    """
    conf = shipped_folder("conf")
    given = dict(word.lstrip("+").split("=", 1) for word in arguments if "=" in word)
    text = (conf / f"{command}.yaml").read_text(encoding="utf-8")
    choices = filter(None, map(_CHOICE.match, text.splitlines()))
    chosen = {choice["group"]: choice["name"] for choice in choices}
    for group, folder in (("data", conf / "data"), ("preset", conf / command / "preset")):
        if re.fullmatch(r"\w+", given.get(group, "")) and (folder / f"{given[group]}.yaml").is_file():
            chosen[group] = given[group]
    images = read_setting_help(conf / "data" / f"{chosen['data']}.yaml", "data.")
    settings = read_setting_help(conf / f"{command}.yaml") + [replace(setting, block=-1) for setting in images]
    changed = _changes(conf / command / "cutout" / f"{chosen['data']}.yaml", "data.")
    changed |= _changes(conf / command / "preset" / f"{chosen['preset']}.yaml", "") | given
    return [
        replace(setting, default=changed.get(setting.key, setting.default)) if setting.default is not None else setting
        for setting in settings
    ]


def setting_keys(command: str) -> list[str]:
    """Return the settings and groups of a command by their dotted keys, in order of the file."""
    return [*dict.fromkeys(["data", "preset", *(setting.key for setting in command_settings(command))])]


def _changes(path: Path, prefix: str) -> dict[str, str]:
    """Return the settings that a preset or another file of a group changes, by dotted key."""
    if not path.is_file():
        return {}
    return {s.key: s.default for s in read_setting_help(path, prefix) if s.default is not None}
