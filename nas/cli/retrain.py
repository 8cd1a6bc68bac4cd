"""``nas retrain``, ``retrain.py`` and ``nas-retrain``: training of a genotype's network from scratch."""

from collections.abc import Sequence

from nas.cli.run_program import run_program


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a retraining with settings (key=value), by default those of the command line."""
    run_program("retrain", arguments)
