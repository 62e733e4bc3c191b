"""The `tandem` command and the options before a command's name; commands are loaded when they are called."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Annotated, Final

import typer

from tandem.command_group import CommandGroup
from tandem.command_list.commands import COMMANDS
from tandem.command_list.entry import Flags
from tandem.later_imports import start_quickly
from tandem.schemas.telemetry.logs import VARIABLE, log_as, log_format

__all__ = ["app", "main"]

app = typer.Typer(
    name="tandem",
    cls=CommandGroup,
    help="Hybrid batch and real-time analytics on Apache Beam: one journal, two speeds, one answer.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
_LAUNCHING: Final = frozenset(entry.name for entry in COMMANDS if entry.flags is Flags.PIPELINE)
"""Commands with slow imports, which install their own handlers of Ctrl-C and SIGTERM."""


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the versions and end")] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="of an error show the whole trace, too")] = False,
) -> None:
    if context.invoked_subcommand not in _LAUNCHING:
        _take_signals()
    if form := os.environ.get(VARIABLE):
        log_as(log_format(form))
    if version:
        typer.echo(_versions())
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _take_signals() -> None:
    """Let commands handle Ctrl-C (KeyboardInterrupt, exit code 130), and SIGTERM end the process."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _versions() -> str:
    import platform
    from importlib.metadata import version

    beam, python = version("apache-beam"), platform.python_version()
    return f"tandem {version('tandem-beam')} (Apache Beam {beam}, Python {python})"


_ASKING: Final = frozenset({"query", "status", "alerts", "results", "publications", "keys", "check"})
"""Commands that mostly take as long as their imports."""


def main() -> None:
    """Run the command line; an error is one line and an exit code."""
    if sys.argv[1:2] and sys.argv[1] in _ASKING:
        start_quickly()
    app()
