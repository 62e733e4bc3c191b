"""Ends a failed command: one line on stderr and an exit code, never a bare trace."""

from __future__ import annotations

import errno
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

import typer

from tandem.runners.submission.failures import full_disk, in_words
from tandem.schemas.errors import TandemError, UserError
from tandem.schemas.privacy.printable import printable
from tandem.schemas.privacy.secrets import redacted
from tandem.schemas.telemetry.logs import logged

__all__ = ["INTERRUPTED", "end_for", "ended", "print_error", "wants_trace"]

INTERRUPTED: Final = 130
_CLOSED: Final = 141
"""A shell's exit code for a process that wrote to a closed pipe."""
_CLOSED_TO_US: Final = {
    errno.EACCES: "run this as the user to whom it belongs, or have it let you in",
    errno.EPERM: "run this as the user to whom it belongs, or have it let you in",
    errno.EROFS: "name a place that can be written, or mount this one writable",
}
_TRACE_FLAG: Final = "--traceback"
_LONGEST: Final = 2_000


def wants_trace(arguments: list[str]) -> bool:
    """Whether `--traceback` is among the arguments; removes it."""
    found = _TRACE_FLAG in arguments
    arguments[:] = [word for word in arguments if word != _TRACE_FLAG]
    return found


def ended(run: Callable[[], object], *, trace: bool = False) -> None:
    """Run a command; every error ends the process with one line and an exit code."""
    try:
        run()
    except Exception as error:
        end_for(error, trace=trace)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def end_for(error: Exception, *, trace: bool = False) -> NoReturn:
    """End the process for an error. `trace`: print its whole trace on stderr, too."""
    if isinstance(error, BrokenPipeError):
        # Python's flush at exit must not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_CLOSED)
    if trace and not logged("the trace of what went wrong", logging.ERROR, exception=_trace_of(error)):
        sys.stderr.write(_trace_of(error))
    if isinstance(error, TandemError):
        print_error(str(error))
        sys.exit(error.exit_code)
    if isinstance(error, UnicodeError):
        print_error(f"a text or name isn't valid UTF-8: {_unreadable(error)}; write it anew in UTF-8")
        sys.exit(UserError.exit_code)
    if isinstance(error, ValueError) and str(error).startswith("embedded null "):
        print_error("a name or path has a NUL character, which no file and no address can have; write it without")
        sys.exit(UserError.exit_code)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        print_error(full_disk(str(error.filename) if error.filename else None))
        sys.exit(TandemError.exit_code)
    if isinstance(error, OSError) and error.errno in _CLOSED_TO_US:
        print_error(f"{error.filename or 'a file'!s}: {error.strerror}; {_CLOSED_TO_US[error.errno]}")
        sys.exit(UserError.exit_code)
    stated = _of_system(error) if isinstance(error, OSError) else f"this is a fault of Tandem: {_named(error)}"
    print_error(stated if trace else f"{stated}; {_kept(_trace_of(error))}")
    sys.exit(TandemError.exit_code)


def print_error(text: str) -> None:
    """Print one line on stderr, its beginning red on a terminal, without passwords and control characters."""
    if logged(" ".join(text.split()), logging.ERROR):
        return
    typer.secho("error: ", fg="red", nl=False, err=True)
    typer.echo(printable(redacted(" ".join(text.split()))), err=True)


def _named(error: Exception) -> str:
    detail = in_words(" ".join(str(error).split()))[:_LONGEST]
    return f"{type(error).__name__}: {detail}" if detail else type(error).__name__


def _of_system(error: OSError) -> str:
    where = f" ({error.filename!s})" if error.filename else ""
    return f"the system says: {in_words(str(error.strerror or error))}{where}"


def _unreadable(error: UnicodeError) -> str:
    if isinstance(error, UnicodeEncodeError | UnicodeDecodeError):
        return repr(error.object)[:200]
    return str(error)


def _trace_of(error: Exception) -> str:
    return printable(redacted("".join(traceback.format_exception(error))), lines=True)


def _kept(trace: str) -> str:
    """The place of the trace: a file that only its owner can read."""
    try:
        number, path = tempfile.mkstemp(prefix="tandem-trace-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(trace)
    except OSError:
        return f"{_TRACE_FLAG} shows the whole trace"
    return f"its trace is in {path} ({_TRACE_FLAG} shows it at once)"
