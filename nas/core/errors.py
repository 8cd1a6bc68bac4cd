"""The errors that a command answers with one line and an exit code of its own."""


class InputError(ValueError):
    """Bad input: one clear line saying what was given, what is allowed, and where.

    The commands print it without a traceback and leave with exit code 2.
    """


class DivergedError(ArithmeticError):
    """A run whose numbers are no longer finite: one line saying where, in which tensor, and what is still whole.

    The commands print it without a traceback and leave with exit code 3.
    """
