"""Folders shipped with the program: next to ``nas/`` in a clone, inside it in a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder(name: str) -> Path:
    """Return the folder ``name`` (``conf``, ``search_spaces`` or ``cells``) of this installation."""
    packed = PACKAGE / "_shared" / name
    return packed if packed.is_dir() else PACKAGE.parent / name
