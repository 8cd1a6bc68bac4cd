"""``--help`` of ``search`` and ``retrain``, without importing torch or Hydra."""

import textwrap
from collections.abc import Sequence

import yaml

from nas.cli.program import program_name
from nas.cli.setting_help import SettingHelp, command_settings
from nas.core.paths import shipped_folder

WIDTH = 79
_COLUMN = 28
_OPTIONS = """\
-h, --help              this text; with preset=NAME or data=NAME, their values
-m, --multirun          a sweep: every combination of values, seed=0,1,2
--cfg job               print the composed settings, and run nothing
--version               versions, kernels and device, for a report of an error
-sc install=bash        print a script that completes settings with Tab (also
                        fish, zsh); eval its output in the shell"""


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Return whether command line ``arguments`` ask for the help text."""
    return any(word in ("-h", "--help") for word in arguments)


def run_help(command: str, arguments: Sequence[str]) -> list[str]:
    """Return the lines of the help of ``search`` or ``retrain``, at most 79 columns wide unless a value is longer."""
    text = (shipped_folder("conf") / f"{command}.yaml").read_text(encoding="utf-8")
    template = yaml.safe_load(text[text.index("\nhydra:") :])["hydra"]["help"]["template"]
    for name in ("search", "retrain"):
        template = template.replace(f"python {name}.py", program_name(name))
    template = template.replace("python -m nas", program_name())
    settings = [line for setting in _with_gaps(command_settings(command, arguments)) for line in setting]
    if any("=" in word for word in arguments):
        template = template.replace("with their defaults)", "as given; sources are those of the defaults)")
    template = template.replace("$CONFIG", "\n".join(settings)).replace("$OPTIONS", _OPTIONS)
    return [part for line in template.rstrip("\n").split("\n") for part in _wrap_command(line)]


def describe_setting(setting: SettingHelp) -> list[str]:
    """Return the lines on one setting: ``key=default`` and its explanation beside it, or below if it is long."""
    if setting.default is None:
        return textwrap.wrap(f"{setting.key}: {setting.text}", WIDTH)
    start = f"{setting.key}={setting.default}"
    lines = textwrap.wrap(setting.text, WIDTH - _COLUMN, break_long_words=False, break_on_hyphens=False)
    lines = [" " * _COLUMN + line for line in lines]
    if len(start) < _COLUMN - 1 and lines:
        return [start.ljust(_COLUMN) + lines[0].strip(), *lines[1:]]
    return [start, *lines]


def _with_gaps(settings: Sequence[SettingHelp]) -> list[list[str]]:
    """Return the lines on each setting, after an empty one where the file has one."""
    blocks = [setting.block for setting in settings]
    new = [k > 0 and block != blocks[k - 1] for k, block in enumerate(blocks)]
    return [["", *describe_setting(s)] if gap else describe_setting(s) for s, gap in zip(settings, new, strict=True)]


def _wrap_command(line: str) -> list[str]:
    r"""Return an example command that is too long as two lines, joined by ``\``; other lines as they are."""
    if len(line) <= WIDTH or "=" not in line or not line.startswith("  "):
        return [line]
    start, end = line[: WIDTH - 2].rsplit(" ", 1)
    return [f"{start} \\", f"      {end}{line[WIDTH - 2 :]}"]
