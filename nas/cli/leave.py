"""How a command ends."""

import sys
from collections.abc import Callable

from nas.core.errors import InputError


def leave(work: Callable[[], None]) -> None:
    """Do the work and leave: with 2 and one line for bad input, with 130 when interrupted."""
    try:
        work()
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\ninterrupted; a search goes on from its last checkpoint with resume=<its folder>", file=sys.stderr)
        sys.exit(130)
