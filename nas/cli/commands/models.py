"""``nas models``: the image networks, with exact counts and the paper's figures."""

from collections.abc import Sequence

from nas.cli.command_parser import CommandParser
from nas.cli.tables import text_table
from nas.core.errors import InputError
from nas.core.terminal import print_lines

_SIDE = 224


def main(arguments: Sequence[str]) -> None:
    """Print the table of image networks."""
    parser = CommandParser("models")
    parser.add_argument("pattern", nargs="?", default="*", help="some of them, such as 'mobilenext_*'")
    given = parser.parse_args(arguments)
    import torch

    from nas.costs.count import cost
    from nas.models.image_models import MODELS, list_models

    names = [name for name in list_models(given.pattern) if name in MODELS]
    if not names:
        raise InputError(f"{given.pattern}: no image network has such a name; allowed: {', '.join(sorted(MODELS))}")
    rows = []
    for name in names:
        model = MODELS[name]
        with torch.device("meta"):
            count = cost(model.build(), (3, _SIDE, _SIDE))
        figures = [f"{model.params:g} M", f"{model.macs:g} M", f"{model.top1:g}"]
        rows.append([name, f"{count.params:,}", f"{count.macs:,}", *figures, model.remark])
    header = ["model", "params", "MACs", "paper: params", "MACs", "top-1 %", "remark"]
    print_lines(*text_table([header, *rows], numbers=(1, 2, 3, 4, 5)))
    print_lines("", f"1000 classes, {_SIDE}x{_SIDE}; the paper: arXiv 2007.02269. nas.create_model(NAME) builds one")
