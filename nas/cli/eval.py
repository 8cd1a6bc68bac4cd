"""``nas eval``: evaluation of a trained network, as ``retrain.py eval=FILE`` does."""

from collections.abc import Sequence

from nas.cli.commands import COMMANDS
from nas.cli.eval_settings import EVAL_SETTINGS
from nas.cli.program import program_name
from nas.cli.run_help import asks_for_help, describe_setting
from nas.cli.run_program import run_program
from nas.cli.setting_help import command_settings
from nas.core.errors import InputError
from nas.core.shell_quoting import quote_value
from nas.core.terminal import print_lines


def main(arguments: Sequence[str]) -> None:
    """Evaluate a run folder or a file with settings (key=value)."""
    if not arguments or asks_for_help(arguments):
        print_lines(*_help())
        return
    trained, *settings = arguments
    if trained.startswith("-"):
        raise InputError(f"{trained}: the run folder or file comes first: {program_name('eval')} RUN [key=value …]")
    run_program("retrain", [f"eval={quote_value(trained)}", *_output_as_setting(settings)])


def _output_as_setting(words: Sequence[str]) -> list[str]:
    """Return command line ``words`` with ``-o FILE`` or ``--output FILE``, as other commands have it, as a setting."""
    settings = []
    rest = iter(words)
    for word in rest:
        option, sign, value = word.partition("=")
        if option in ("-o", "--output"):
            file = value if sign else next(rest, "")
            if not file:
                raise InputError(f"{option}: needs the name of a file for the figures, such as {option} figures.json")
            settings.append(f"output={quote_value(file)}")
        else:
            settings.append(word)
    return settings


def _help() -> list[str]:
    program, text = program_name("eval"), COMMANDS["eval"].help
    settings = [s for s in command_settings("retrain") if s.key.split(".")[0] in EVAL_SETTINGS and s.key != "eval"]
    return [
        f"usage: {program} RUN [key=value …] [-o FILE]",
        "",
        f"{text[0].upper()}{text[1:]}.",
        "",
        "RUN is the run folder of a retraining, a checkpoint, or weights.safetensors.",
        "The images are those of the run; data=NAME data.root=PATH name others.",
        "-o FILE, --output FILE: write the figures as JSON",
        "",
        "== Settings ==",
        *(line for setting in settings for line in describe_setting(setting)),
    ]
