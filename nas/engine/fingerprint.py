"""The fingerprint of a run: named digests of all that its bits depend on besides settings and device.

A resumed run promises the same bits only if its data, operators, space, kernels and torch are the same, so they are
compared with those that the checkpoint was made with.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import cast

import torch

import nas.kernels
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.terminal import print_warning
from nas.data.augment import AugmentSettings
from nas.data.dataset import Dataset
from nas.data.fingerprint import dataset_fingerprint, loader_fingerprint
from nas.data.loaders import LoaderPair
from nas.graph.space import Space, space_fingerprint
from nas.kernels.build import load_library
from nas.ops.registry import operator_file
from nas.storage.fingerprint import changed_parts, source_fingerprint

FINGERPRINT_GROUPS = ("data", "ops", "space", "kernels", "torch")
_SHOWN = 5  # changed names in a message
_MAX_PARTS, _MAX_TEXT = 10_000, 4096


def run_fingerprint(
    dataset: Dataset | LoaderPair,
    augment: AugmentSettings | None,
    operators: Iterable[str],
    space: Space | None = None,
    files: Iterable[Path] = (),
) -> dict[str, str]:
    """Return the fingerprint of a run on ``dataset`` with ``operators``.

    A search gives its ``space``, too, and the ``files`` of its user's own methods.
    """
    return {
        **(loader_fingerprint(dataset) if isinstance(dataset, LoaderPair) else dataset_fingerprint(dataset, augment)),
        **operators_fingerprint(operators, files),
        **({} if space is None else space_fingerprint(space)),
        "kernels": _kernels(),
        "torch": str(torch.__version__),
    }


def operators_fingerprint(operators: Iterable[str], files: Iterable[Path] = ()) -> dict[str, str]:
    """Return the digests of ``files``, and of those that define operators that do not ship with this package."""
    own = {file for name in operators if (file := operator_file(name)) is not None}
    fingerprint: dict[str, str] = {}
    for file in sorted({*own, *files}):
        fingerprint |= source_fingerprint(file, f"ops.{file.name}")
    return fingerprint


def read_resume_anyway(given: str | None) -> tuple[str, ...]:
    """Return the groups in ``resume_anyway=data+ops``; raise :class:`InputError` for an unknown one."""
    groups = tuple(given.split("+")) if given else ()
    for group in groups:
        if group not in FINGERPRINT_GROUPS:
            allowed = ", ".join(FINGERPRINT_GROUPS)
            raise InputError(f"resume_anyway={format_value(given)}: must be null or names joined with +, of {allowed}")
    return groups


def is_fingerprint(value: object) -> bool:
    """Return whether an untrusted ``value`` has the form of a fingerprint: printable text by printable names."""
    if not isinstance(value, dict) or len(value) > _MAX_PARTS:
        return False
    texts = [*value.keys(), *value.values()]
    return all(isinstance(text, str) and len(text) <= _MAX_TEXT and text.isprintable() for text in texts)


def check_fingerprint(
    stored: object, current: Mapping[str, str], where: str, accepted: Collection[str], ignored: Collection[str] = ()
) -> None:
    """Raise :class:`InputError` naming what changed since ``stored`` was written, unless it is ``accepted``.

    ``accepted``, by the user, and ``ignored`` are dotted prefixes of names. If nothing is stored, since the file is
    older than fingerprints, one line on standard error says so.
    """
    if not stored:
        print_warning(f"{where}: has no fingerprint; changes of data or operators are not noticed")
        return
    if not is_fingerprint(stored):
        raise InputError(f"{where}: its fingerprint is malformed")
    changed = changed_parts(cast("dict[str, str]", stored), current, (*accepted, *ignored))
    if changed:
        groups = [group for group in FINGERPRINT_GROUPS if any(name.split(".")[0] == group for name in changed)]
        names = ", ".join(changed[:_SHOWN]) + (f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")
        anyway = "+".join(group for group in FINGERPRINT_GROUPS if group in (*accepted, *groups))
        hint = f"restore it, or accept it by resume_anyway={anyway}"
        raise InputError(f"{where}: changed since it was written: {names}; {hint}")


def _kernels() -> str:
    """Return the identity of the compiled kernels' source, or that stock torch runs instead."""
    if load_library()[0] is None:
        return "stock torch"
    sources = sorted((Path(nas.kernels.__file__).parent / "csrc").glob("*.*"))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources if path.suffix in (".cpp", ".h")))
    return f"compiled {digest.hexdigest()[:16]}"
