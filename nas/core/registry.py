"""Names for pluggable things: operators, datasets."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from nas.core.errors import InputError

Entry = TypeVar("Entry")

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Registry(Generic[Entry]):
    """Names to entries, in the order of registration.

    A *family* gives names by pattern: ``sandglass_3x3_t(?P<t>\\d+)`` answers for every ``t``. An exact name wins
    over a family. A duplicate name raises, an unknown one is answered with the nearest known names.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        self._families: list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], Entry]]] = []

    def register(self, name: str, entry: Entry) -> None:
        """Make ``entry`` known as ``name``; raises :class:`InputError` for a duplicate or a malformed name."""
        if not NAME.fullmatch(name):
            raise InputError(f"{self.kind} {name!r}: a name is letters, digits and _, beginning with a letter")
        if name in self._entries:
            raise InputError(f"{self.kind} {name!r} is registered already")
        self._entries[name] = entry

    def register_family(self, form: str, pattern: str, make: Callable[[re.Match[str]], Entry]) -> None:
        """Answer every name that ``pattern`` matches with ``make(match)``; ``form`` shows people such names."""
        self._families.append((form, re.compile(pattern), make))

    def __getitem__(self, name: str) -> Entry:
        if name in self._entries:
            return self._entries[name]
        for _, pattern, make in self._families:
            if match := pattern.fullmatch(name):
                return make(match)
        raise InputError(f"unknown {self.kind} {name!r}: {self._nearest(name)}")

    def __contains__(self, name: str) -> bool:
        return name in self._entries or any(pattern.fullmatch(name) for _, pattern, _ in self._families)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def forms(self) -> list[str]:
        """The names that families answer to, as shown to people."""
        return [form for form, _, _ in self._families]

    def _nearest(self, name: str) -> str:
        return nearest(name, [*self._entries, *self.forms])


def nearest(name: str, known: Iterable[str]) -> str:
    """What to tell someone who asked for ``name``: the nearest known names, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "known are " + ", ".join(names) if names else "none is known"
