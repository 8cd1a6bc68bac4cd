"""``nas search``, ``search.py`` and ``nas-search``: search of a space for cells."""

from collections.abc import Sequence

from nas.cli.run_program import run_program


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a search with settings (key=value), by default those of the command line."""
    run_program("search", arguments)
