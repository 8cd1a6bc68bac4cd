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
from nas.graph.notations.naslib import is_naslib, parse_naslib
from nas.graph.notations.nni import is_mmrazor, parse_mmrazor, parse_nni
from nas.graph.tuple_notation import parse_tuple_notation
from nas.storage.atomic_files import read_text
from nas.storage.yaml_file import parse_mapping

_YAML_SUFFIXES = (".yaml", ".yml")
_NOTATION_SUFFIXES = (".txt", ".py", ".log")
_JSON_SUFFIXES = (".json",)
_SUFFIXES = _YAML_SUFFIXES + _NOTATION_SUFFIXES + _JSON_SUFFIXES


def load_genotype(spec: str | os.PathLike[str] | Genotype) -> Genotype:
    """Load a genotype: ``spec`` is a Genotype, tuple notation, the path of a file or run folder, or the name of a cell.

    The strings of NAS-Bench-201 (``|nor_conv_3x3~0|+|…``) and the numbers of NASLib are read, too. A file is YAML
    (.yaml, .yml), ours or mmrazor's; JSON of NNI (.json); or holds tuple notation or such a string (.txt, .py), also a
    search's log (.log, .txt), of which the last genotype counts. ``FILE.py:NAME`` is one of several. A genotype without
    a name is named after its file. Names are those of :func:`list_cells`, in upper or lower case. Raises
    :class:`InputError`.
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
    if is_naslib(spec):
        return parse_naslib(spec)
    file, _, name = spec.rpartition(":")
    if file.lower().endswith(_NOTATION_SUFFIXES):
        return _read(Path(file), name)
    if spec.lower().endswith(_SUFFIXES):
        return _read(Path(spec))
    cells = _shipped()
    if spec.lower() not in cells and _names_folder(spec):
        return _read_folder(Path(spec))
    if spec.lower() not in cells:
        others = "a run folder, a file (.yaml, .py, .json, …), Genotype(…)"
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


def _read(path: Path, name: str = "") -> Genotype:
    suffix, where = path.suffix.lower(), format_value(path)
    if suffix not in _SUFFIXES:
        raise InputError(f"{where}: not a genotype file; allowed: {', '.join(_SUFFIXES)}")
    genotype = _parse(read_text(path), suffix, where, name)
    return genotype if genotype.name else replace(genotype, name=path.stem)


def _parse(text: str, suffix: str, where: str, name: str) -> Genotype:
    if suffix in _JSON_SUFFIXES:
        return parse_nni(text, where)
    if suffix in _YAML_SUFFIXES:
        data = parse_mapping(text, where)
        return parse_mmrazor(data, where) if is_mmrazor(data) else genotype_from_yaml(text, where)
    if text.lstrip().startswith("|"):
        return parse_arch_string(text, where)
    return parse_naslib(text, where) if is_naslib(text) else parse_tuple_notation(text, where, name)
