"""``nas export``: a trained network for other runtimes."""

from collections.abc import Sequence
from pathlib import Path

from nas.cli.command_parser import CommandParser, load_operators
from nas.core.formatting import format_plural
from nas.core.terminal import print_lines


def main(arguments: Sequence[str]) -> None:
    """Write a trained network for other runtimes; an ONNX file is first compared with torch."""
    parser = CommandParser("export")
    parser.add_argument("trained", type=Path, help="a run folder, checkpoint or weights.safetensors of a retraining")
    parser.add_output("file.onnx or file.pt2", required=True)
    parser.add_operators()
    parser.add_argument("--resume-anyway", metavar="ops", help="export although the operators' file has changed")
    export_trained(**vars(parser.parse_args(arguments)))


def export_trained(trained: Path, output: Path, ops: str | None, resume_anyway: str | None) -> None:
    """Write the network in the file or run folder ``trained`` to ``output``."""
    from nas.engine.fingerprint import read_resume_anyway
    from nas.train.export import export_network, image_metadata
    from nas.train.network_spec import check_spec_fingerprint
    from nas.train.trained_network import load_trained

    load_operators(ops)
    network, spec = load_trained(trained)
    check_spec_fingerprint(spec, str(trained), read_resume_anyway(resume_anyway))
    difference = export_network(network, spec.image_shape, output, image_metadata(spec))
    checked = "" if difference is None else f"; ONNX Runtime's logits differ from torch's by at most {difference:.1e}"
    print_lines(f"{output}: images (N, {', '.join(map(str, spec.image_shape))}), normalized{checked}")
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (spec.mean, spec.std))
    scaled = "bytes / 255, then " if spec.image_dtype == "uint8" else ""
    print_lines(f"in its metadata: {scaled}mean {mean}; std {std}; {format_plural(len(spec.classes), 'label')} by name")
