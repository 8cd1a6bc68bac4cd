"""Errors that a command reports in one line, each with its own exit code."""

from nas.core.formatting import escape_unprintable


class InputError(ValueError):
    """Bad input: one line that names the setting or file, the problem and what is allowed.

    The commands print it without a traceback and exit with code 2. Unprintable characters are escaped.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(escape_unprintable(message))


class DivergedError(ArithmeticError):
    """A run whose numbers are no longer finite: one line with the step, the tensor and the last good checkpoint.

    The commands print it without a traceback and exit with code 3. Unprintable characters are escaped.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(escape_unprintable(message))
