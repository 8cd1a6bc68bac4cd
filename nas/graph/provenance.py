"""Where a genotype comes from: the search that found it, or the place that published it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.storage.yaml_file import check_keys

MAX_TEXT = 500
MAX_NUMBER = 2**64  # a seed fits; also refuses infinity and NaN


@dataclass(frozen=True)
class Published:
    """A figure that somebody published for a cell: ``test_err`` in percent, ``params_M`` and ``macs_M`` in millions."""

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
    """What a genotype file says of where its cells come from; a field that is not known stays empty.

    ``space``, ``dataset``, ``seed``, ``epoch``, ``commit`` and ``date`` describe a search; ``source`` (a repository or
    paper), ``published_as`` (the name there) and ``published`` (the figures) describe a published cell.
    """

    space: str = ""
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
        """The fields that are known, as plain data."""
        known = _known_fields(self)
        if self.published:
            known["published"] = [_known_fields(figure) for figure in self.published]
        return known


def provenance_from_dict(data: object, where: str) -> Provenance:
    """The inverse of :meth:`Provenance.to_dict`; raises :class:`InputError` for unknown fields and wrong types."""
    known = _mapping(data, Provenance, f"{where}: origin")
    figures = known.pop("published", [])
    if not isinstance(figures, list):
        raise InputError(f"{where}: origin.published: a list is expected, got {format_value(figures)}")
    try:
        published = tuple(Published(**_mapping(figure, Published, "published")) for figure in figures)
        return Provenance(**known, published=published)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _mapping(data: object, kind: type, where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: a mapping is expected, got {format_value(data)}")
    check_keys(data, [field.name for field in fields(kind)], where)
    return dict(data)


def _known_fields(record: Provenance | Published) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value for name, value in values.items() if value not in ("", None, ())}


def _check_fields(record: Provenance | Published, where: str) -> None:
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name == "published":
            if not all(isinstance(figure, Published) for figure in value):
                raise InputError(f"{where}.published: Published records are expected, got {format_value(value)}")
        elif isinstance(field.default, str):
            if not isinstance(value, str) or not value.isprintable() or len(value) > MAX_TEXT:
                raise InputError(
                    f"{where}.{field.name}: one line of text is expected (quoted), got {format_value(value)}"
                )
        elif value is not None:
            number = "whole number" if field.name in ("seed", "epoch") else "number"
            kind = int if number == "whole number" else int | float
            if isinstance(value, bool) or not isinstance(value, kind) or not abs(value) < MAX_NUMBER:
                raise InputError(f"{where}.{field.name}: a {number} is expected, got {format_value(value)}")
