"""The one kind of error that is the user's to mend."""


class InputError(ValueError):
    """Bad input: one clear line saying what was given, what is allowed, and where.

    The commands print it without a traceback and leave with exit code 2.
    """
