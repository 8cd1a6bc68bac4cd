"""``python -m nas``: draw and show cells, list operators and spaces, profile, export, make the paper's table."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nas.cli.exit_codes import run_and_exit
from nas.cli.report_commands import add_figures
from nas.core.errors import InputError
from nas.graph.cell import CELL_KINDS
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype
from nas.graph.space import list_spaces
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import list_cells, load_genotype
from nas.plots.cell import draw_cells

CELL_HELP = "a name in cells/, the path of a genotype file, or Genotype(…) in tuple notation"


def main(argv: Sequence[str] | None = None) -> None:
    """The console command ``nas``, or ``python -m nas``."""
    arguments = vars(_parser().parse_args(argv))
    command = arguments.pop("command")
    run_and_exit(partial(command, **arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nas", description="Cells, operators and search spaces.")
    parser.set_defaults(command=parser.print_help)
    commands = parser.add_subparsers(metavar="COMMAND")

    draws = commands.add_parser("draw", help="draw both cells of a genotype")
    draws.add_argument("cell", help=CELL_HELP)
    draws.add_argument("-o", "--output", help="file.svg, .png or .pdf (default: <name>.svg)")
    draws.set_defaults(command=draw)

    keeps = commands.add_parser(
        "keep", help="write a cell under a name of its own, such as cells/name.yaml, and draw it"
    )
    keeps.add_argument("cell", help=CELL_HELP)
    keeps.add_argument("output", type=Path, help="name.yaml; name.svg is written beside it")
    keeps.add_argument("--dataset", help="what it was searched on, in words")
    keeps.add_argument("--source", help="how it was searched, or where it was published")
    keeps.set_defaults(command=keep)

    shows = commands.add_parser("show", help="edges, tuple notation and counts of a genotype")
    shows.add_argument("cell", help=f"{CELL_HELP}; without it, the cells that travel with the program", nargs="?")
    shows.add_argument("--ops", help="a Python file that registers operators of your own")
    shows.set_defaults(command=show)

    lists = commands.add_parser("ops", help="list the operators")
    lists.add_argument("--ops", help="a Python file that registers operators of your own")
    lists.set_defaults(command=operators)

    commands.add_parser("spaces", help="list the search spaces").set_defaults(command=spaces)

    _add_profile(commands)
    _add_trained(commands)
    add_figures(commands)
    return parser


def _add_profile(commands: Any) -> None:
    profiles = commands.add_parser("profile", help="where the time of a search step goes, by operators")
    profiles.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of search.py, space=darts")
    profiles.add_argument("--steps", type=int, default=3, help="steps that are measured, and again as many profiled")
    profiles.add_argument("--output", type=Path, metavar="FOLDER", help="for profile.json and trace.json")
    profiles.set_defaults(command=profile)


def _add_trained(commands: Any) -> None:
    """The command that works on trained networks."""
    exports = commands.add_parser("export", help="write a trained network as ONNX or for torch.export")
    exports.add_argument("trained", type=Path, help="a checkpoint, weights.safetensors or run folder of a retraining")
    exports.add_argument("-o", "--output", type=Path, required=True, help="file.onnx or file.pt2")
    exports.add_argument("--ops", help="a Python file that registers operators of your own")
    exports.add_argument("--resume-anyway", metavar="ops", help="export although the operators' file has changed")
    exports.set_defaults(command=export)


def draw(cell: str, output: str | None) -> None:
    """Draw both cells of a genotype into one file."""
    genotype = load_genotype(cell)
    drawn = draw_cells(genotype, f"{_file_name(genotype)}.svg" if output is None else output)
    print(*drawn.paths)
    if drawn.note:
        print(drawn.note)


def _file_name(genotype: Genotype) -> str:
    """The cell's name without what could lead into another folder."""
    return re.sub(r"[^\w.+-]+", "_", genotype.name).lstrip(".") or "cell"


def keep(cell: str, output: Path, dataset: str | None, source: str | None) -> None:
    """Write a genotype named after its new file, what is told of its origin in place of what was known; draw it."""
    if output.suffix != ".yaml":
        raise InputError(f"{output}: the file of a kept cell ends with .yaml")
    genotype = load_genotype(cell)
    known = genotype.origin
    origin = replace(
        known,
        dataset=known.dataset if dataset is None else dataset,
        source=known.source if source is None else source,
    )
    save_genotype(replace(genotype, name=output.stem, origin=origin), output)
    print(output)
    draw(str(output), str(output.with_suffix(".svg")))


def show(cell: str | None, ops: str | None) -> None:
    """Print a genotype's edges, its tuple notation and the cost of the network that DARTS would retrain."""
    if cell is None:
        print("\n".join(list_cells()))
        return
    genotype = load_genotype(cell)
    for kind in CELL_KINDS:
        print(f"{kind} cell, output: nodes {', '.join(map(str, genotype.concat(kind)))}")
        for node, edges in genotype.nodes(kind):
            print(f"  {node} = " + " + ".join(f"{operator}({source})" for operator, source in edges))
    print(format_tuple_notation(genotype))
    _show_cost(genotype, ops)


def _show_cost(genotype: Genotype, ops: str | None) -> None:
    from nas.costs.count import RETRAIN_CELLS as STACKED
    from nas.costs.count import RETRAIN_CHANNELS, network_cost
    from nas.ops.registry import load_user_operators

    if ops is not None:
        load_user_operators(ops)
    found = network_cost(genotype, 10, (3, 32, 32))
    size = f"{found.params:,} parameters (+ {found.auxiliary_params:,} in the auxiliary head)"
    print(f"CIFAR-10 network, {STACKED} cells, {RETRAIN_CHANNELS} channels: {size}, {found.macs:,} multiply-adds")


def operators(ops: str | None) -> None:
    """Print the operators, and the forms of those whose names carry options."""
    from nas.ops.registry import list_operators, load_user_operators
    from nas.ops.registry import operators as registry

    if ops is not None:
        load_user_operators(ops)
    print("\n".join(list_operators()))
    print("\nwith options of your choice:\n" + "\n".join(registry.forms))


def spaces() -> None:
    """Print the search spaces with their operators."""
    for space in list_spaces():
        print(f"{space.name}: {space.description}\n    {', '.join(space.operators)}")


def export(trained: Path, output: Path, ops: str | None, resume_anyway: str | None) -> None:
    """Write a trained network for other runtimes; an ONNX file is checked against torch first."""
    from nas.engine.fingerprint import read_resume_anyway
    from nas.ops.registry import load_user_operators
    from nas.train.export import export_network
    from nas.train.network_spec import check_spec_fingerprint
    from nas.train.trained_network import load_trained

    if ops is not None:
        load_user_operators(ops)
    network, spec = load_trained(trained)
    check_spec_fingerprint(spec, str(trained), read_resume_anyway(resume_anyway))
    difference = export_network(network, spec.image_shape, output)
    checked = "" if difference is None else f"; ONNX Runtime's logits differ from torch's by at most {difference:.1e}"
    print(f"{output}: images (N, {', '.join(map(str, spec.image_shape))}), normalised{checked}")


def profile(**options: Any) -> None:
    """Print where the time of a search step goes, and write a trace."""
    from nas.cli.profile import profile as run

    run(**options)
