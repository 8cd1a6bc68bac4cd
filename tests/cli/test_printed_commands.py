"""Commands that are printed to be pasted: a shell passes exactly the intended words and runs nothing."""

import os
import subprocess

import pytest
import yaml

NASTY = [
    "$(touch hacked)",
    "`touch hacked`; touch hacked",
    'it\'s "both"',
    "a  b",
    "\x1b]0;owned\x07\x1b[2Jred\nforged line\r\u202eabc!",
]


def pasted(line: str, cwd) -> list[str]:
    """Return the words that a program gets when ``line`` is pasted into a shell in ``cwd``."""
    (cwd / "bin").mkdir(exist_ok=True)
    program = cwd / "bin/python"
    program.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    program.chmod(0o755)
    before = sorted(cwd.iterdir())
    assert line.isprintable()
    ended = subprocess.run(["sh", "-c", f"PATH={cwd}/bin:$PATH; {line}"], cwd=cwd, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert sorted(cwd.iterdir()) == before
    return os.fsdecode(ended.stdout).split("\0")[:-1]


@pytest.mark.parametrize("name", NASTY)
def test_the_command_to_resume(name, search, run, elsewhere):
    value = name.replace('"', '\\"')
    ended = search(f'run.dir="{value}"', "max_minutes=1e-9")
    assert ended.code == 0, ended
    (line,) = [line for line in ended.out.splitlines() if f"{'resume'}=" in line]
    words = pasted(line.partition(": ")[2], elsewhere)
    assert words[0].endswith("search.py")
    resumed = run(*words[1:], "max_minutes=null")
    assert (resumed.code, resumed.complaints) == (0, [])
    assert (elsewhere / name / "result.json").exists()


@pytest.mark.parametrize("name", NASTY)
def test_hints_in_errors(name, search, run, elsewhere):
    value = name.replace('"', '\\"')
    assert search(f'run.dir="{value}"', "max_minutes=1e-9").code == 0
    (message,) = search(f'run.dir="{value}"').complaints
    hint = message.partition("with ")[2].rpartition(", or choose another")[0]
    words = pasted(f"python {hint}", elsewhere)
    config = elsewhere / name / "config.yaml"
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"ops": f"{name}.py"}))
    (message,) = run(*words).complaints
    words = pasted(f"python {message.rpartition('repeat them: ')[2]}", elsewhere)
    assert len(words) == 2
