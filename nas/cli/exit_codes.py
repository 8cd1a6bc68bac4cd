"""How a command ends."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from nas.core.errors import DivergedError, InputError
from nas.core.formatting import format_value
from nas.runtime.progress import discard_dead_output
from nas.runtime.signals import Interrupted
from nas.storage.atomic_files import error_reason

_OF_FILES = (  # errors of a file that the user can put right, such as a full disk or a folder removed during a run
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ESTALE,
)


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
        if error.errno == errno.EIO and discard_dead_output():
            sys.exit(128 + signal.SIGHUP)
        if error.errno not in _OF_FILES:
            raise
        _refuse(
            f"{format_value(Path(os.fsdecode(error.filename or 'a file')))}: cannot be used ({error_reason(error)})"
        )


def _in_thread(args: threading.ExceptHookArgs) -> None:
    """Say nothing of a full disk that a thread met, such as TensorBoard's: its writer raises the error once more."""
    if not (isinstance(args.exc_value, OSError) and args.exc_value.errno in _OF_FILES):
        threading.__excepthook__(args)


def _stopped(how: str, code: int) -> None:
    _print_error(f"\n{how}; a run goes on from its last checkpoint with resume=<its folder>")
    sys.exit(code)


def _refuse(text: str, code: int = 2) -> None:
    line = " ".join(text.split())[:2000]
    _print_error(f"error: {''.join(sign if sign.isprintable() else '?' for sign in line)}")
    sys.exit(code)


def _print_error(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone; the exit code remains
        discard_dead_output()
