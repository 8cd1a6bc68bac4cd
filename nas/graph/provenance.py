"""Provenance of a genotype: the search that found it, or its publication."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.storage.yaml_file import check_keys

_MAX_TEXT = 500  # characters
_MAX_NUMBER = 2**64  # larger than any seed; also excludes infinity and NaN


@dataclass(frozen=True)
class Published:
    """A published result of a cell: ``test_err`` in percent, ``params_M`` and ``macs_M`` in millions."""

    source: str = ""
    dataset: str = ""
    test_err: float | None = None
    params_M: float | None = None  # noqa: N815
    macs_M: float | None = None  # noqa: N815
    note: str = ""

    def __post_init__(self) -> None:
        _check_fields(self, "published")


@dataclass(frozen=True)
class Provenance:
    """The ``origin`` of a genotype file; unknown fields stay empty.

    ``space``, ``method``, ``dataset``, ``seed``, ``epoch``, ``commit`` and ``date`` describe a search; ``source`` (a
    repository or paper), ``published_as`` (the name there) and ``published`` (the results) describe a published cell.
    """

    space: str = ""
    method: str = ""  # empty: DARTS
    dataset: str = ""
    seed: int | None = None
    epoch: int | None = None
    commit: str = ""
    date: str = ""
    source: str = ""
    published_as: str = ""
    published: tuple[Published, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "published", tuple(self.published))
        _check_fields(self, "origin")

    def to_dict(self) -> dict[str, Any]:
        """Return the known fields as plain data."""
        known = _known_fields(self)
        if self.published:
            known["published"] = [_known_fields(result) for result in self.published]
        return known


def provenance_from_dict(data: object, where: str) -> Provenance:
    """Invert :meth:`Provenance.to_dict`; raise :class:`InputError` for unknown fields and wrong types."""
    known = _mapping(data, Provenance, f"{where}: origin")
    results = known.pop("published", [])
    if not isinstance(results, list):
        raise InputError(f"{where}: origin.published: expected a list, got {format_value(results)}")
    try:
        published = tuple(Published(**_mapping(result, Published, "published")) for result in results)
        return Provenance(**known, published=published)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _mapping(data: object, kind: type, where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: expected a mapping, got {format_value(data)}")
    check_keys(data, [field.name for field in fields(kind)], where)
    return dict(data)


def _known_fields(record: Provenance | Published) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value for name, value in values.items() if value not in ("", None, ())}


def _check_fields(record: Provenance | Published, where: str) -> None:
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name == "published":
            if not all(isinstance(result, Published) for result in value):
                raise InputError(f"{where}.published: expected Published records, got {format_value(value)}")
        elif isinstance(field.default, str):
            if not isinstance(value, str) or not value.isprintable() or len(value) > _MAX_TEXT:
                raise InputError(f"{where}.{field.name}: expected one line of text (quoted), got {format_value(value)}")
        elif value is not None:
            number = "whole number" if field.name in ("seed", "epoch") else "number"
            kind = int if number == "whole number" else int | float
            if isinstance(value, bool) or not isinstance(value, kind) or not abs(value) < _MAX_NUMBER:
                raise InputError(f"{where}.{field.name}: expected a {number}, got {format_value(value)}")
