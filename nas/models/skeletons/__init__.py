"""The skeletons, one file each; importing the package registers them.

A chain of blocks whose widths change would be another file here: its plans list the channels that each block gets and
returns, its preprocessing is the identity, and its operators' factories take both numbers.
"""

from nas.models.skeletons import darts, nb201  # noqa: F401 they register
from nas.models.skeletons.registry import NetworkSizes, cell_widths, check_search_cells, skeleton_of, skeletons

__all__ = ["NetworkSizes", "cell_widths", "check_search_cells", "skeleton_of", "skeletons"]
