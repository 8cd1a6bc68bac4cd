"""The table of commands: a new one is a row here and a file with a function ``main(arguments)``."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command of the program ``nas``: ``main(arguments)`` in ``module``, imported when it is called."""

    name: str
    help: str
    module: str = ""

    def load(self) -> Callable[[Sequence[str]], None]:
        """Import the command and return its function."""
        main: Callable[[Sequence[str]], None] = importlib.import_module(self.module or f"{__name__}.{self.name}").main
        return main


# fmt: off
SECTIONS = {
    "Runs, with settings key=value": (
        Command("search", "search a space for cells", "nas.cli.search"),
        Command("retrain", "train the network of a cell from scratch", "nas.cli.retrain"),
        Command("eval", "test a trained network: accuracy, cost, latency", "nas.cli.eval"),
        Command("predict", "name the classes of images"),
    ),
    "Cells and networks": (
        Command("show", "print the edges, tuple notation and cost of a cell"),
        Command("draw", "draw a cell"),
        Command("keep", "save a cell under a new name, and draw it"),
        Command("export", "write a trained network as ONNX or for torch.export"),
    ),
    "What there is": (
        Command("cells", "list the cells that are included, or describe one"),
        Command("methods", "list the search methods, or describe one"),
        Command("models", "list MobileNeXt and MobileNetV2 with exact counts"),
        Command("ops", "list the operators, or describe one"),
        Command("spaces", "list the search spaces, or describe one"),
    ),
    "Results": (
        Command("runs", "list runs: state, epochs, accuracy, size, time"),
        Command("evolution", "plot the strengths of searches over their epochs"),
        Command("sizes", "plot the sizes of the networks found against the size penalty"),
        Command("select", "rank cells by short trainings, random ones beside them"),
        Command("score", "compare the cells of searches with a table of true accuracies"),
        Command("table9", "search spaces, retrain, compare with the paper's Table 9"),
        Command("profile", "measure the time of each operator in a search step"),
    ),
}
# fmt: on

COMMANDS = {command.name: command for rows in SECTIONS.values() for command in rows}
