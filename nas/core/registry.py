"""Registry of named, pluggable things: operators, datasets."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from nas.core.errors import InputError

Entry = TypeVar("Entry")

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Registry(Generic[Entry]):
    """Mapping of names to entries, in the order of registration.

    A *family* registers a pattern of names: ``sandglass_3x3_t(?P<t>\\d+)`` matches every ``t``. An exact name wins over
    a family. Registering a name twice raises; looking up an unknown one raises with the nearest known names.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        self._families: list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], Entry]]] = []

    def register(self, name: str, entry: Entry) -> None:
        """Register ``entry`` as ``name``; raises :class:`InputError` for a duplicate or malformed name."""
        if not NAME.fullmatch(name):
            raise InputError(f"{self.kind} {name!r}: a name is letters, digits and _, beginning with a letter")
        if name in self._entries:
            raise InputError(f"{self.kind} {name!r} is registered already")
        self._entries[name] = entry

    def register_family(self, form: str, pattern: str, make: Callable[[re.Match[str]], Entry]) -> None:
        """Register every name that ``pattern`` matches, made by ``make(match)``; listings show it as ``form``."""
        self._families.append((form, re.compile(pattern, re.ASCII), make))  # \d is 0-9

    def __getitem__(self, name: str) -> Entry:
        if name in self._entries:
            return self._entries[name]
        for _, pattern, make in self._families:
            if match := pattern.fullmatch(name):
                return make(match)
        raise InputError(f"unknown {self.kind} {name!r}: {nearest(name, [*self._entries, *self.forms])}")

    def __contains__(self, name: str) -> bool:
        return name in self._entries or any(pattern.fullmatch(name) for _, pattern, _ in self._families)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def forms(self) -> list[str]:
        """The families as listings show them, such as ``sandglass_3x3_t{t}``."""
        return [form for form, _, _ in self._families]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for the unknown ``name``: the nearest known names, or all of them if none is near."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "known are " + ", ".join(names) if names else "none is known"
