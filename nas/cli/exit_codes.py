"""Exit codes of the commands."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from nas.core.errors import DivergedError, InputError
from nas.core.formatting import format_value
from nas.core.terminal import print_lines, replace_unencodable
from nas.runtime.progress import discard_dead_output
from nas.runtime.signals import Interrupted
from nas.storage.atomic_files import error_reason

_FILE_ERRORS = (  # errors that the user can fix, such as a full disk or a folder removed during a run
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
_MAX_TEXT = 10_000  # enough for a command with two of the longest paths of Linux


class FailedExit(SystemExit):
    """The exit of a command that failed for a foreseen reason; ``text`` is the line that was printed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.text = text


def run_and_exit(work: Callable[[], None]) -> None:
    """Call ``work``, and exit with one line on stderr if it fails for a foreseen reason.

    The code is 2 for bad input or a file error, 3 for a run that diverged, 128 + its number for a signal, 130 for
    Ctrl-C. If the reader of stdout is gone (``| head``), the code is 141 and nothing is printed; if the terminal is
    gone, it is 129.
    """
    if sys.platform == "win32":
        _exit_with_error("platform=win32: not supported, run folders need POSIX locks; allowed: Linux, macOS, WSL")
    threading.excepthook = _ignore_file_errors
    replace_unencodable()
    try:
        _work_and_flush(work)
    except InputError as error:
        _exit_with_error(str(error))
    except DivergedError as error:
        _exit_with_error(str(error), code=3)
    except Interrupted as error:
        _exit_after_stop(str(error), 128 + error.number)
    except KeyboardInterrupt:
        _exit_after_stop("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout at exit
        sys.exit(141)  # as a shell reports SIGPIPE
    except OSError as error:  # such as one from TensorBoard's writer
        if error.errno == errno.EIO and discard_dead_output():
            sys.exit(128 + signal.SIGHUP)
        if error.errno not in _FILE_ERRORS:
            raise
        path = Path(os.fsdecode(error.filename or "a file"))
        _exit_with_error(f"{format_value(path)}: cannot be used ({error_reason(error)})")


def _work_and_flush(work: Callable[[], None]) -> None:
    """Call ``work``; find out whether the reader of stdout is gone also if it exits, as after --help."""
    try:
        work()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


def _ignore_file_errors(args: threading.ExceptHookArgs) -> None:
    """Ignore file errors in a thread such as TensorBoard's, whose writer raises them again in the main thread."""
    if not (isinstance(args.exc_value, OSError) and args.exc_value.errno in _FILE_ERRORS):
        threading.__excepthook__(args)


def _exit_after_stop(reason: str, code: int) -> None:
    _print_error("", f"{reason}; resume a run from its last checkpoint with resume=<its folder>")
    sys.exit(code)


def _exit_with_error(text: str, code: int = 2) -> None:
    _print_error(f"error: {text[:_MAX_TEXT]}")
    raise FailedExit(code, text[:_MAX_TEXT])


def _print_error(*lines: str) -> None:
    try:
        print_lines(*lines, file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone; the exit code remains
        discard_dead_output()
