"""``data=NAME`` on the command line for a dataset that the user's file registers, without a file in ``conf/data``."""

import re
from collections.abc import Sequence

from nas.core.paths import shipped_folder
from nas.core.registry import NAME

# The keys are those of an image folder; nothing is known of the images, so they are not augmented unless asked for.
_BASE = ("data.pad=0", "data.flip=false")


def registered_data(arguments: Sequence[str]) -> list[str]:
    """Return command line ``arguments`` with ``data=NAME`` in the form that Hydra can compose, if ``ops=`` is given.

    Settings that the user gives win over the defaults. If ``NAME`` is not registered, loading it says so.
    """
    shipped = {path.stem for path in (shipped_folder("conf") / "data").glob("*.yaml")}
    has_file = any(re.match(r"\+{0,2}ops=", argument) for argument in arguments)
    for index, argument in enumerate(arguments):
        key, _, name = argument.partition("=")
        if has_file and key == "data" and NAME.fullmatch(name) and name not in shipped:
            before, after = arguments[:index], arguments[index + 1 :]
            return [*_BASE, *before, "data=folder", f"data.name={name}", *after]
    return list(arguments)
