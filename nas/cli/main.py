"""``python -m nas``: draw and show cells, list operators and spaces, profile, export, make the paper's table."""

import argparse
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from nas.cli.exit_codes import run_and_exit
from nas.cli.report_commands import add_report_commands
from nas.core.errors import InputError
from nas.core.formatting import escape_unprintable
from nas.core.terminal import print_lines
from nas.graph.arch_string import format_arch_string
from nas.graph.cell import cell_title
from nas.graph.genotype import Genotype
from nas.graph.genotype_yaml import save_genotype
from nas.graph.space_file import list_spaces
from nas.graph.tuple_notation import format_tuple_notation
from nas.graph.zoo import list_cells, load_genotype
from nas.plots.cell import draw_cells
from nas.plots.drawing_style import DrawingStyle
from nas.plots.edge_width import EdgeWidths, edge_widths

_CELL_HELP = "a name in cells/, a genotype file, Genotype(…) in tuple notation, or a string of NAS-Bench-201"
_OPS_HELP = "a Python file that registers your own operators"
_OPS_COLOR_HELP = f"{_OPS_HELP}, for their colors"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the console command ``nas``, or ``python -m nas``."""
    run_and_exit(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> None:
    arguments = vars(_parser().parse_args(argv))
    command = arguments.pop("command")
    command(**arguments)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with code 2; the message holds words as they were given."""
        super().error(escape_unprintable(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="nas", description="Cells, operators and search spaces.")
    parser.set_defaults(command=parser.print_help)
    commands = parser.add_subparsers(metavar="COMMAND")

    draw = commands.add_parser("draw", help="draw both cells of a genotype")
    draw.add_argument("cell", help=_CELL_HELP)
    draw.add_argument("-o", "--output", help="file.svg, .png or .pdf (default: <name>.svg)")
    draw.add_argument("--ops", help=_OPS_COLOR_HELP)
    draw.add_argument("--layout", default="lr", metavar="lr|tb", help="from left to right, or from top to bottom")
    draw.add_argument("--transparent", action="store_true", help="no white background")
    draw.add_argument("--strengths", type=Path, metavar="RUN_FOLDER", help="edges as wide as strong at a search's end")
    draw.set_defaults(command=_draw)

    keep = commands.add_parser("keep", help="save a cell under a new name, such as cells/name.yaml, and draw it")
    keep.add_argument("cell", help=_CELL_HELP)
    keep.add_argument("output", type=Path, help="name.yaml; name.svg is written beside it")
    keep.add_argument("--dataset", help="the images it was searched on, as text")
    keep.add_argument("--source", help="how it was searched, or where it was published")
    keep.add_argument("--ops", help=_OPS_COLOR_HELP)
    keep.set_defaults(command=_keep)

    show = commands.add_parser("show", help="print the edges, tuple notation and cost of a genotype")
    show.add_argument("cell", help=f"{_CELL_HELP}; without it, list the cells that are included", nargs="?")
    show.add_argument("--ops", help=_OPS_HELP)
    show.set_defaults(command=_show)

    ops = commands.add_parser("ops", help="list the operators")
    ops.add_argument("--ops", help=_OPS_HELP)
    ops.set_defaults(command=_print_operators)

    commands.add_parser("spaces", help="list the search spaces").set_defaults(command=_print_spaces)

    _add_profile(commands)
    _add_export(commands)
    add_report_commands(commands)
    return parser


def _add_profile(commands: Any) -> None:
    profile = commands.add_parser("profile", help="measure the time of each operator in a search step")
    profile.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of search.py, such as space=darts")
    profile.add_argument("--steps", type=int, default=3, help="steps to time, and as many again to profile")
    profile.add_argument("--output", type=Path, metavar="FOLDER", help="folder for profile.json and trace.json")
    profile.set_defaults(command=_profile)


def _add_export(commands: Any) -> None:
    export = commands.add_parser("export", help="write a trained network as ONNX or for torch.export")
    export.add_argument("trained", type=Path, help="a checkpoint, weights.safetensors or run folder of a retraining")
    export.add_argument("-o", "--output", type=Path, required=True, help="file.onnx or file.pt2")
    export.add_argument("--ops", help=_OPS_HELP)
    export.add_argument("--resume-anyway", metavar="ops", help="export although the operators' file has changed")
    export.set_defaults(command=_export)


def _draw(
    cell: str,
    output: str | None,
    ops: str | None,
    layout: str = "lr",
    transparent: bool = False,
    strengths: Path | None = None,
) -> None:
    """Draw both cells of a genotype into one file."""
    _load_operators(ops)
    genotype = load_genotype(cell)
    style = DrawingStyle(layout, transparent, {} if strengths is None else _widths(genotype, strengths))
    drawn = draw_cells(genotype, f"{_file_name(genotype)}.svg" if output is None else output, style)
    print_lines(" ".join(map(str, drawn.paths)))
    if drawn.note:
        print_lines(drawn.note)


def _widths(genotype: Genotype, run: Path) -> EdgeWidths:
    """Return the widths of the edges by the strengths at the end of the search in the folder ``run``."""
    from nas.reports.alpha_evolution import read_alpha_evolution

    evolution = read_alpha_evolution(run)
    return edge_widths(genotype, {kind: values.tolist() for kind, values in evolution.last.items()}, evolution.space)


def _load_operators(ops: str | None) -> None:
    """Run the user's file ``ops``, if there is one; torch is imported only then."""
    if ops is not None:
        from nas.ops.registry import load_user_operators

        load_user_operators(ops)


def _file_name(genotype: Genotype) -> str:
    """Return the cell's name without anything that could lead into another folder."""
    return re.sub(r"[^\w.+-]+", "_", genotype.name).lstrip(".") or "cell"


def _keep(cell: str, output: Path, dataset: str | None, source: str | None, ops: str | None) -> None:
    """Save a genotype under the name of its new file, with the given origin where there is one, and draw it."""
    if output.suffix != ".yaml":
        raise InputError(f"{output}: must end with .yaml")
    genotype = load_genotype(cell)
    known = genotype.origin
    origin = replace(
        known,
        dataset=known.dataset if dataset is None else dataset,
        source=known.source if source is None else source,
    )
    save_genotype(replace(genotype, name=output.stem, origin=origin), output)
    print_lines(output)
    _draw(str(output), str(output.with_suffix(".svg")), ops)


def _show(cell: str | None, ops: str | None) -> None:
    """Print a genotype's edges, its tuple notation and the cost of the network that DARTS would retrain."""
    if cell is None:
        print_lines(*list_cells())
        return
    genotype = load_genotype(cell)
    for kind in genotype.kinds:
        print_lines(f"{cell_title(kind)}, output: nodes {', '.join(map(str, genotype.concat(kind)))}")
        for node, edges in genotype.nodes(kind):
            print_lines(f"  {node} = " + (" + ".join(f"{operator}({source})" for operator, source in edges) or "0"))
    print_lines(format_tuple_notation(genotype))
    with suppress(InputError):
        print_lines(format_arch_string(genotype))
    _print_cost(genotype, ops)


def _print_cost(genotype: Genotype, ops: str | None) -> None:
    from nas.costs.count import describe_network, network_cost

    _load_operators(ops)
    cost = network_cost(genotype, 10, (3, 32, 32))
    size = f"{cost.params:,} parameters (+ {cost.auxiliary_params:,} in the auxiliary head)"
    print_lines(f"CIFAR-10 {describe_network(genotype)}: {size}, {cost.macs:,} multiply-adds")


def _print_operators(ops: str | None) -> None:
    """Print the operators, and the patterns of those with options in their names."""
    from nas.ops.registry import list_operators, operators

    _load_operators(ops)
    print_lines(*list_operators(), "", "with options of your choice:", *operators.forms)


def _print_spaces() -> None:
    """Print the search spaces with their operators."""
    for space in list_spaces():
        print_lines(f"{space.name}: {space.description}", f"    {', '.join(space.operators)}")


def _export(trained: Path, output: Path, ops: str | None, resume_anyway: str | None) -> None:
    """Write a trained network for other runtimes; an ONNX file is first compared with torch."""
    from nas.engine.fingerprint import read_resume_anyway
    from nas.train.export import export_network
    from nas.train.network_spec import check_spec_fingerprint
    from nas.train.trained_network import load_trained

    _load_operators(ops)
    network, spec = load_trained(trained)
    check_spec_fingerprint(spec, str(trained), read_resume_anyway(resume_anyway))
    difference = export_network(network, spec.image_shape, output)
    checked = "" if difference is None else f"; ONNX Runtime's logits differ from torch's by at most {difference:.1e}"
    print_lines(f"{output}: images (N, {', '.join(map(str, spec.image_shape))}), normalized{checked}")


def _profile(**options: Any) -> None:
    from nas.cli.profile import profile_command

    profile_command(**options)
