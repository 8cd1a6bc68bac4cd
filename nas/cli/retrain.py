"""``retrain.py``, ``nas-retrain`` and ``nas retrain``: training of a genotype's network from scratch."""

from nas.cli.run_program import run_program


def main() -> None:
    """Run the console command ``retrain.py`` or ``nas-retrain``."""
    run_program("retrain")
