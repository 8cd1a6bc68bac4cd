"""The format of a run folder, by which its files are read and continued.

Its settings name it (``format`` in ``config.yaml``, or in the ``settings.json`` of a run from Python). In folders of
format 1, which have no such key, the rows of ``metrics.jsonl`` and ``alphas.jsonl`` count epochs from 0; since format 2
they count from 1. A run that is resumed keeps its format. ``result.json`` has a ``format`` of its own, which says the
same of its best epoch.
"""

from pathlib import Path

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.run_files import CONFIG, SETTINGS
from nas.storage.json_file import read_json
from nas.storage.yaml_file import read_mapping

RUN_FORMAT = 2


def run_format(folder: Path) -> int:
    """Return the format of the run in ``folder``, the newest if it has no settings; raises :class:`InputError`."""
    for path, read in ((folder / CONFIG, read_mapping), (folder / SETTINGS, read_json)):
        if path.is_file():
            settings = read(path)
            return read_format(settings if isinstance(settings, dict) else {}, path)
    return RUN_FORMAT


def read_format(content: dict[str, object], path: Path) -> int:
    """Return the ``format`` of a file's content, 1 if it has none; raises :class:`InputError` for an unknown one."""
    found = content.get("format", 1)
    if type(found) is not int or not 1 <= found <= RUN_FORMAT:
        hint = f"allowed: 1..{RUN_FORMAT}; a later version of nas wrote a higher one"
        raise InputError(f"{format_value(path)}: format={format_value(found)}: {hint}")
    return found


def first_epoch(folder: Path) -> int:
    """Return the number that the files in ``folder`` use for a run's first epoch; raises :class:`InputError`."""
    return 0 if run_format(folder) == 1 else 1
