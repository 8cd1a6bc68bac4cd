"""``data=FILE.py`` and ``data=NAME`` on the command line for a dataset that the user's file registers."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from nas.core.errors import InputError
from nas.core.paths import shipped_folder
from nas.core.registry import NAME, nearest
from nas.core.shell_quoting import quote_value
from nas.storage.atomic_files import read_text

# The keys are those of an image folder; nothing is known of the images, so they are not augmented unless asked for.
_BASE = ("data.pad=0", "data.flip=false")
_FILE = re.compile(r"(.+\.py)(?::(\w+))?")


def registered_data(arguments: Sequence[str]) -> list[str]:
    """Return command line ``arguments`` with ``data=NAME`` in the form that Hydra can compose, if ``ops=`` is given.

    ``data=FILE.py`` stands for ``ops=FILE.py data=NAME`` with the one dataset that the file registers, and
    ``data=FILE.py:NAME`` names one of several: so the file is code that the user trusts, as with ``ops=``, and a run
    folder cannot name it alone. Here it is only read. Settings that the user gives win over the defaults. If ``NAME``
    is not registered, loading it says so. Raises :class:`InputError` for a file that registers no dataset.
    """
    arguments = _with_file_as_ops(list(arguments))
    shipped = {path.stem for path in (shipped_folder("conf") / "data").glob("*.yaml")}
    has_file = any(re.match(r"\+{0,2}ops=", argument) for argument in arguments)
    for index, argument in enumerate(arguments):
        key, _, name = argument.partition("=")
        if has_file and key == "data" and NAME.fullmatch(name) and name not in shipped:
            before, after = arguments[:index], arguments[index + 1 :]
            return [*_BASE, *before, "data=folder", f"data.name={name}", *after]
    return arguments


def _with_file_as_ops(arguments: list[str]) -> list[str]:
    for index, argument in enumerate(arguments):
        key, _, value = argument.partition("=")
        found = _FILE.fullmatch(value.strip("\"'")) if key == "data" else None
        if found is not None:
            path, name = found[1], found[2]
            given = [other for other in arguments if re.match(r"\+{0,2}ops=", other)]
            if given and given[0].partition("=")[2].strip("\"'") != path:
                raise InputError(f"{argument}: {given[0]} is another file; allowed: one, which registers both")
            ops = [] if given else [f"ops={quote_value(path)}"]
            chosen = f"data={_registered_name(path, name)}"
            return [*arguments[:index], *ops, chosen, *arguments[index + 1 :]]
    return arguments


def _registered_name(path: str, name: str | None) -> str:
    """Return the name of the dataset that the file registers; the file is parsed, not run."""
    try:
        tree = ast.parse(read_text(Path(path).expanduser()))
    except (SyntaxError, ValueError) as error:
        raise InputError(f"data={path}: {' '.join(str(error).split())}") from error
    except FileNotFoundError:
        raise InputError(f"data={path}: no such file") from None
    names = [_called_name(call) for call in ast.walk(tree) if isinstance(call, ast.Call)]
    known = [found for found in names if found is not None]
    if name is not None and name not in known and known:
        raise InputError(f"data={path}:{name}: {nearest(name, known)}")
    if name is None and len(known) != 1:
        several = f"registers {', '.join(known)}: choose one with data={path}:{known[0]}" if known else ""
        missing = 'registers no dataset: @nas.register_dataset("NAME") above a function does'
        raise InputError(f"data={path}: {several or missing}")
    return name or known[0]


def _called_name(call: ast.Call) -> str | None:
    """Return the name in ``register_dataset("name")`` and ``nas.register_dataset("name")``."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    constant = call.args[0] if function == "register_dataset" and call.args else None
    value = constant.value if isinstance(constant, ast.Constant) else None
    return value if isinstance(value, str) else None
