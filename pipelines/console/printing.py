"""Prints for the command line: texts of users are escaped, and no markup in them takes effect."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from tandem.schemas.privacy.printable import json_text, printable
from tandem.schemas.telemetry.logs import logged, structured

__all__ = ["SafeConsole", "cell", "console", "print_json", "print_json_items", "progress", "say"]

_WIDTH: Final = 160
"""Characters a line without a terminal."""
_ITEMS: Final = 500
"""Items of a list that are written at once."""


class SafeConsole(Console):
    """A console that escapes the control characters of every text it prints."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, their texts escaped."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable(text, lines=True), style)


def console(*, stderr: bool = False) -> Console:
    """Standard output, or stderr; with a fixed width where it isn't a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return SafeConsole(highlight=False, emoji=False, stderr=stderr, width=None if stream.isatty() else _WIDTH)


def progress() -> Console:
    """The console for a pipeline's progress on standard error: lines, or log records where logs are structured."""
    if structured():
        return Console(file=_Logged(), width=1000, highlight=False)  # type: ignore[arg-type]
    return Console(stderr=True, highlight=False, soft_wrap=True)


class _Logged:
    """A text file whose lines are logged."""

    def __init__(self) -> None:
        self._begun = ""

    def write(self, text: str) -> int:
        """Log the lines that have ended in this text."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                logged(line.rstrip())
        return len(text)

    def flush(self) -> None:
        """Does nothing: a line is logged when it ends."""


def cell(text: object, style: str = "") -> Text:
    """A user's text as a table's cell, or a part of a line: escaped, without markup."""
    return Text(printable(str(text)), style=style)


def say(text: str, *, err: bool = False, lines: bool = False) -> None:
    """Print one line of plain text, or with `lines` several; with `err` on stderr, logged where logs are structured."""
    if err and logged(text):
        return
    typer.echo(printable(text, lines=lines), err=err)


def print_json(data: Any) -> None:
    """Print one line of JSON on standard output."""
    typer.echo(json_text(data))


def print_json_items(
    before: Mapping[str, Any], name: str, items: Iterable[Any], after: Callable[[], Mapping[str, Any]]
) -> None:
    """Print one line of JSON on standard output, an object whose list `name` is written as its items come.

    `before`, `after`: its entries around the list; `after` is asked for at the end.
    """
    items, between = iter(items), ""
    typer.echo(json_text({**before, name: []})[: -len("]}")], nl=False)
    while some := list(islice(items, _ITEMS)):
        typer.echo(between + json_text(some)[1:-1], nl=False)
        between = ", "
    typer.echo(f"], {json_text(after())[1:]}")
