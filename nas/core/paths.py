"""Where the folders that travel with the program are: in a clone beside ``nas/``, in a wheel inside it."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder(name: str) -> Path:
    """The folder ``name`` (``conf``, ``search_spaces`` or ``cells``) of this installation."""
    packed = PACKAGE / "_shared" / name
    return packed if packed.is_dir() else PACKAGE.parent / name
