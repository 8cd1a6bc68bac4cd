"""``search.py``, ``nas-search`` and ``nas search``: search of a space for cells."""

from nas.cli.run_program import run_program


def main() -> None:
    """Run the console command ``search.py`` or ``nas-search``."""
    run_program("search")
