"""What a search says at its end."""

import re
import shlex
import sys
from pathlib import Path

from nas.core.progress import duration
from nas.data.dataset import Dataset
from nas.engine.report import CELLS, CHANNELS, write_report
from nas.engine.search import SearchResult
from nas.graph.tuple_notation import format_tuple_notation


def report_search(result: SearchResult, dataset: Dataset, folder: Path) -> None:
    """Write the report of a finished search, and say what was found and where it is."""
    found, drawn = write_report(result, dataset, folder)
    print(format_tuple_notation(result.genotype))
    size = f"{found.params:,} parameters, {found.macs:,} multiply-adds"
    print(f"network of {CELLS} cells with {CHANNELS} channels for {dataset.name}: {size}")
    print(f"searched {duration(result.seconds)}; genotype and drawings: {folder}/genotype.yaml, normal.svg, reduce.svg")
    if drawn.note:
        print(drawn.note)


def how_to_go_on(result: SearchResult, folder: Path) -> None:
    """Say that a search stopped because its time was up, and how it goes on."""
    print(f"stopped in time after {result.epoch} epochs and {result.step} steps, with a checkpoint")
    print(f"go on with: {resume_command(folder)}")


def resume_command(folder: Path) -> str:
    """The command line that takes up the run in ``folder``."""
    value = str(folder)
    if not re.fullmatch(r"[\w./+-]+", value):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    program = sys.argv[0]
    return shlex.join([*(["python"] if program.endswith(".py") else []), program, f"resume={value}"])
