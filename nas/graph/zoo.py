"""Genotypes by name, by path and in writing: the cells in ``cells/`` and everybody's own."""

import os
from dataclasses import replace
from pathlib import Path

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.paths import shipped_folder
from nas.core.registry import nearest
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import genotype_from_yaml
from nas.graph.tuple_notation import parse_tuple_notation
from nas.storage.atomic_files import read_text

YAML = (".yaml", ".yml")
NOTATION = (".txt", ".py")


def load_genotype(spec: str | os.PathLike[str] | Genotype) -> Genotype:
    """The genotype that ``spec`` means: a Genotype itself, tuple notation, the path of a file, or the name of a cell.

    A file is YAML (.yaml, .yml) or holds tuple notation (.txt, .py); without a name in it, it is named after the
    file. A name is one of :func:`list_cells`, in any case of letters. Raises :class:`InputError`.
    """
    if isinstance(spec, Genotype):
        return spec
    if isinstance(spec, os.PathLike):
        return _read(Path(spec))
    if not isinstance(spec, str):
        raise InputError(f"genotype {format_value(spec)}: a name, a path or tuple notation is expected")
    if "Genotype(" in spec:
        return parse_tuple_notation(spec)
    if spec.lower().endswith(YAML + NOTATION):
        return _read(Path(spec))
    cells = _shipped()
    if spec.lower() not in cells:
        ways = f"the path of a {', '.join(YAML + NOTATION)} file and Genotype(…) work too"
        raise InputError(f"unknown cell {format_value(spec)}: {nearest(spec.lower(), cells)} ({ways})")
    return _read(cells[spec.lower()])


def list_cells() -> list[str]:
    """The names of the cells that travel with the program."""
    return list(_shipped())


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(shipped_folder("cells").glob("*.yaml"))}


def _read(path: Path) -> Genotype:
    ending = path.suffix.lower()
    if ending not in YAML + NOTATION:
        raise InputError(f"{format_value(path)}: a genotype file ends with {', '.join(YAML + NOTATION)}")
    parse = genotype_from_yaml if ending in YAML else parse_tuple_notation
    genotype = parse(read_text(path), format_value(path))
    return genotype if genotype.name else replace(genotype, name=path.stem)
