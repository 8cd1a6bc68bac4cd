"""Fingerprints of what a run depends on: named digests, compared when the run is resumed, evaluated or exported.

A fingerprint is a flat mapping from dotted names (``data.train.labels``, ``ops.helpers.py``) to digests or short texts.
The first word of a name is its group; ``resume_anyway=data+ops`` accepts changes by group.
"""

import ast
import hashlib
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.storage.atomic_files import check_regular_file, error_reason


def changed_parts(stored: Mapping[str, str], current: Mapping[str, str], accepted: Collection[str] = ()) -> list[str]:
    """Return the sorted names whose values differ, or that only one of the two fingerprints has.

    ``accepted`` names are left out with everything below them: ``data`` covers ``data.train.labels``.
    """
    names = sorted(name for name in stored.keys() | current.keys() if stored.get(name) != current.get(name))
    return [name for name in names if not any(f"{name}.".startswith(f"{prefix}.") for prefix in accepted)]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a regular file's content; raise :class:`InputError` if it cannot be read."""
    try:
        check_regular_file(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{format_value(path)}: cannot be read ({error_reason(error)})") from error


def source_fingerprint(path: str | Path, name: str = "ops") -> dict[str, str]:
    """Return the digest of a Python file as ``name`` and of each local module that it imports as ``name.FILE``.

    Local modules are Python files in the folder of ``path`` and its subfolders, found by following the ``import``
    statements without executing them; FILE is relative to that folder, so moving the folder changes nothing. Imports
    from elsewhere, and modules loaded by other means, are not covered. Raises :class:`InputError` if ``path`` cannot
    be read.
    """
    file = Path(path).expanduser().resolve()
    fingerprint = {name: file_digest(file)}
    for module in _local_modules(file):
        fingerprint[f"{name}.{module.relative_to(file.parent).as_posix()}"] = file_digest(module)
    return fingerprint


def _local_modules(file: Path) -> list[Path]:
    known, pending = {file}, [file]
    while pending:
        imported = set(_imported_files(pending.pop(), file.parent)) - known
        known |= imported
        pending += imported
    return sorted(known - {file})


def _imported_files(file: Path, folder: Path) -> Iterator[Path]:
    """Yield the files below ``folder`` that the import statements of ``file`` load."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser warns about invalid escapes
            tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return  # Python cannot import it either, and says why
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(folder, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = folder if node.level == 0 else Path(*file.parts[: -node.level])
            if base.is_relative_to(folder):
                for alias in node.names:
                    yield from _module_files(base, ".".join(filter(None, (node.module, alias.name))))


def _module_files(base: Path, module: str) -> Iterator[Path]:
    """Yield the files of ``module`` and of the packages around it, if they are below ``base``."""
    parts = module.split(".")
    if parts[0] == "nas":  # this package, which lies beside an operator file at the top of a clone
        return
    for end in range(1, len(parts) + 1):
        path = base.joinpath(*parts[:end])
        yield from (file for file in (path.with_name(f"{path.name}.py"), path / "__init__.py") if file.is_file())
