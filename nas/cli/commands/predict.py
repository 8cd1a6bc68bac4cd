"""``nas predict``: the classes of images, by a trained network."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from nas.cli.command_parser import CommandParser, load_operators
from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.terminal import print_lines


def main(arguments: Sequence[str]) -> None:
    """Print the most probable classes of each image."""
    parser = CommandParser("predict")
    parser.add_argument("trained", type=Path, help="a run folder, checkpoint or weights.safetensors of a retraining")
    parser.add_argument("images", type=Path, nargs="+", metavar="image", help="image files, or folders of them")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes of each image (default: 5)")
    parser.add_output("file.csv: image, class and probability, a line each")
    parser.add_operators()
    _predict(**vars(parser.parse_args(arguments)))


def _predict(trained: Path, images: list[Path], top: int, output: Path | None, ops: str | None) -> None:
    from nas.engine.named_losses import NAMED_LOSSES, NUMBERS
    from nas.runtime.progress import Progress
    from nas.storage.atomic_files import write_file
    from nas.train.trained_model import load_model

    load_operators(ops)
    model, files = load_model(trained), _image_files(images)
    rows, numbers = [], NAMED_LOSSES[model.spec.loss].labels == NUMBERS
    with Progress("predicting", len(files)) as progress:
        for file in files:
            rows.append((file, model.predict(file, top)[0]))
            progress.advance(1)
    if output is not None:
        table, head = io.StringIO(), ("image", "target", "value") if numbers else ("image", "class", "probability")
        lines = [(file, name, f"{p:.6f}") for file, found in rows for name, p in found]
        csv.writer(table, lineterminator="\n").writerows([head, *lines])
        write_file(output, table.getvalue().encode("utf-8", "surrogateescape"))
    for file, found in rows:
        shown = (f"{name} {p:.4g}" if numbers else f"{name} {p:.1%}" for name, p in found)
        print_lines(f"{file}: " + ", ".join(shown))


def _image_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files, and the images in folders, sorted."""
    from nas.data.image_files import ImageFinder

    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        finder, whole = ImageFinder(), path.resolve()
        inside = [path / Path(name).relative_to(whole.name) for name, *_ in finder.find(whole.parent, whole.name)]
        finder.warn(path)
        if not inside:
            raise InputError(f"{format_value(path)}: holds no images")
        files += inside
    return files
