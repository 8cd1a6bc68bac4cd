"""The name that the program was called by, for help, messages and commands to type next."""

import shutil
import sys
import time
from pathlib import Path

STARTED = time.monotonic()  # time limits count from here

_SCRIPTS = {"search": "search.py", "retrain": "retrain.py"}  # in the top folder of a clone
_FORMER = ("nas-search", "nas-retrain")


def program_words(command: str | None = None) -> list[str]:
    """Return the words that run ``command`` in the way in which this program was run; None: the program ``nas``."""
    called = Path(sys.argv[0])
    if called.name in _SCRIPTS.values():
        if command in _SCRIPTS:
            return ["python", str(called.with_name(_SCRIPTS[command]))]
        return ["python", "-m", "nas", *_words(command)]
    if called.name == "__main__.py":
        return ["python", "-m", "nas", *_words(command)]
    on_path = called.name not in ("nas", *_FORMER) or shutil.which(called.name) == str(called)
    return ["nas" if on_path else str(called.with_name("nas")), *_words(command)]


def program_name(command: str | None = None) -> str:
    """Return :func:`program_words` as a text for help, without the folders of the program."""
    return " ".join(Path(word).name for word in program_words(command))


def _words(command: str | None) -> list[str]:
    return [] if command is None else [command]
