"""Genotypes by name, path or tuple notation: the cells in ``cells/`` and the user's own."""

import os
from dataclasses import replace
from pathlib import Path

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.paths import shipped_folder
from nas.core.registry import nearest
from nas.core.run_files import GENOTYPE
from nas.graph.arch_string import parse_arch_string
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import genotype_from_yaml
from nas.graph.tuple_notation import parse_tuple_notation
from nas.storage.atomic_files import read_text

_YAML_SUFFIXES = (".yaml", ".yml")
_NOTATION_SUFFIXES = (".txt", ".py")


def load_genotype(spec: str | os.PathLike[str] | Genotype) -> Genotype:
    """Load a genotype: ``spec`` is a Genotype, tuple notation, the path of a file or run folder, or the name of a cell.

    The strings of NAS-Bench-201 (``|nor_conv_3x3~0|+|…``) are read, too. A file is YAML (.yaml, .yml) or holds tuple
    notation or such a string (.txt, .py); a genotype without a name is named after its file. Names are those of
    :func:`list_cells`, in upper or lower case. Raises :class:`InputError`.
    """
    if isinstance(spec, Genotype):
        return spec
    if isinstance(spec, os.PathLike):
        return _read_folder(Path(spec)) if Path(spec).is_dir() else _read(Path(spec))
    if not isinstance(spec, str):
        raise InputError(f"genotype {format_value(spec)}: expected a name, a path or tuple notation")
    if "Genotype(" in spec:
        return parse_tuple_notation(spec)
    if spec.lstrip().startswith("|"):
        return parse_arch_string(spec)
    if spec.lower().endswith(_YAML_SUFFIXES + _NOTATION_SUFFIXES):
        return _read(Path(spec))
    cells = _shipped()
    if spec.lower() not in cells and _names_folder(spec):
        return _read_folder(Path(spec))
    if spec.lower() not in cells:
        others = f"a run folder, a file ({', '.join(_YAML_SUFFIXES + _NOTATION_SUFFIXES)}), Genotype(…)"
        raise InputError(f"unknown cell {format_value(spec)}: {nearest(spec.lower(), cells)} (also allowed: {others})")
    return _read(cells[spec.lower()])


def list_cells() -> list[str]:
    """Return the names of the shipped cells."""
    return list(_shipped())


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(shipped_folder("cells").glob("*.yaml"))}


def _names_folder(spec: str) -> bool:
    """Return whether ``spec`` is the path of an existing folder; ``.`` and ``..`` count if they hold a run."""
    path = Path(spec)
    try:
        return bool(spec) and path.is_dir() and (path.name not in ("", "..") or (path / GENOTYPE).is_file())
    except (OSError, ValueError):  # too long a name, a null byte
        return False


def _read_folder(folder: Path) -> Genotype:
    """Read the genotype of a run; a genotype without a name is named after the folder."""
    if not (folder / GENOTYPE).is_file():
        raise InputError(f"{format_value(folder)}: holds no {GENOTYPE}; allowed: the folder of a run")
    genotype = genotype_from_yaml(read_text(folder / GENOTYPE), format_value(folder / GENOTYPE))
    return genotype if genotype.name else replace(genotype, name=folder.name)


def _read(path: Path) -> Genotype:
    suffix = path.suffix.lower()
    if suffix not in _YAML_SUFFIXES + _NOTATION_SUFFIXES:
        allowed = ", ".join(_YAML_SUFFIXES + _NOTATION_SUFFIXES)
        raise InputError(f"{format_value(path)}: not a genotype file; allowed: {allowed}")
    text = read_text(path)
    parse = genotype_from_yaml if suffix in _YAML_SUFFIXES else parse_tuple_notation
    if suffix in _NOTATION_SUFFIXES and text.lstrip().startswith("|"):
        parse = parse_arch_string
    genotype = parse(text, format_value(path))
    return genotype if genotype.name else replace(genotype, name=path.stem)
