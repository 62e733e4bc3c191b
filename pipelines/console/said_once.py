"""Prints repeated lines once."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from tandem.schemas.privacy.printable import printable

__all__ = ["said_once"]


def said_once(console: Console) -> Callable[[str], None]:
    """A function that prints each line only the first time."""
    said = set[str]()

    def note(line: str) -> None:
        if line not in said:
            console.print(printable(line), markup=False)
        said.add(line)

    return note
