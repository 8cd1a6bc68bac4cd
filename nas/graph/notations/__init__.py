"""Cells as other programs write them; each notation is a file with functions ``parse_…`` and ``format_…``.

Nothing in such a text is executed.
"""

from collections.abc import Callable

from nas.core.errors import InputError
from nas.core.registry import nearest
from nas.graph.arch_string import format_arch_string
from nas.graph.genotype import Genotype
from nas.graph.notations.naslib import format_naslib
from nas.graph.notations.nni import format_nni
from nas.graph.tuple_notation import format_tuple_notation

WRITERS: dict[str, Callable[[Genotype], str]] = {
    "darts": format_tuple_notation,
    "nni": format_nni,
    "naslib": format_naslib,
    "nb201": format_arch_string,
}


def format_genotype(genotype: Genotype, notation: str) -> str:
    """Return the genotype in a notation: ``"darts"``, ``"nni"``, ``"naslib"`` or ``"nb201"``.

    Raises :class:`InputError` for another notation, and for one that cannot hold the genotype.
    """
    if notation not in WRITERS:
        raise InputError(f"notation={notation}: {nearest(notation, WRITERS)}")
    return WRITERS[notation](genotype)
