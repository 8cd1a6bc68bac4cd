"""How OpenMP's threads wait for each other."""

import os

_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
SPINS = "1000"


def limit_spinning() -> None:
    """Let a waiting thread of GNU's OpenMP, which torch's wheels use, sleep soon; call it before torch is loaded.

    By default it spins for some milliseconds. Beside another busy process, threads then spin while the one that they
    wait for has no core. Numbers: docs/results.md. Variables that the user has set win.
    """
    if not any(name in os.environ for name in _VARIABLES):
        os.environ["GOMP_SPINCOUNT"] = SPINS
