"""How a command ends."""

import errno
import os
import sys
import threading
from collections.abc import Callable

from nas.core.errors import DivergedError, InputError
from nas.runtime.signals import Interrupted
from nas.storage.atomic_files import error_reason

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run_and_exit(work: Callable[[], None]) -> None:
    """Do the work and leave: with 2 and one line for bad input or a full disk, with 3 for a run that diverged.

    With 128 + its number for a signal, 130 for Ctrl-C.

    Where nobody reads the output any more (``| head``), it leaves without a word.
    """
    if sys.platform == "win32":
        _refuse("platform=win32: not supported, a run's lock needs POSIX; allowed: Linux, macOS, or WSL on Windows")
    threading.excepthook = _in_thread
    try:
        work()
        sys.stdout.flush()
    except InputError as error:
        _refuse(str(error))
    except DivergedError as error:
        _refuse(str(error), code=3)
    except Interrupted as error:
        _stopped(str(error), 128 + error.number)
    except KeyboardInterrupt:
        _stopped("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would write there once more
        sys.exit(141)  # as a shell reports SIGPIPE
    except OSError as error:  # from TensorBoard's writer, say
        if error.errno not in FULL:
            raise
        _refuse(f"{error.filename or 'a file'} cannot be written ({error_reason(error)})")


def _in_thread(args: threading.ExceptHookArgs) -> None:
    """Say nothing of a full disk that a thread met, such as TensorBoard's: its writer raises the error once more."""
    if not (isinstance(args.exc_value, OSError) and args.exc_value.errno in FULL):
        threading.__excepthook__(args)


def _stopped(how: str, code: int) -> None:
    print(f"\n{how}; a run goes on from its last checkpoint with resume=<its folder>", file=sys.stderr)
    sys.exit(code)


def _refuse(text: str, code: int = 2) -> None:
    line = " ".join(text.split())[:2000]
    print(f"error: {''.join(sign if sign.isprintable() else '?' for sign in line)}", file=sys.stderr)
    sys.exit(code)
