"""Tables that never cut a value: in narrow terminals whole columns are left out, and named."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tandem.pipelines.console.printing import cell
from tandem.schemas.privacy.printable import printable

__all__ = ["Column", "print_pairs", "print_table"]

_BESIDE: Final = 3
"""Characters of a column beside its text."""

Cell = str | Text


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its alignment, and its behaviour in narrow terminals."""

    name: str
    right: bool = False
    keep: bool = False
    """Whether the column is always shown; where even these columns don't fit, lines are longer than the screen."""
    wrap: bool = False
    """Whether the column's text wraps between words."""


def print_table(
    to: Console,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell]],
    *,
    also: Sequence[str] = (),
    more: str = "take --json",
) -> None:
    """Print a table; texts are escaped, a rich Text is printed as it is.

    `also`: names of columns that were left out before; `more`: a hint how to see them.
    """
    texts = [[each if isinstance(each, Text) else cell(each) for each in row] for row in rows]
    widths = [_width([Text(c.name), *(row[at] for row in texts)]) for at, c in enumerate(columns)]
    least = [
        _longest_word([Text(c.name), *(row[at] for row in texts)]) if c.wrap else widths[at]
        for at, c in enumerate(columns)
    ]
    shown, total = _fitting(columns, least, to.width)
    table = Table(box=box.SIMPLE_HEAD)
    for at in shown:
        c = columns[at]
        table.add_column(
            c.name,
            justify="right" if c.right else "left",
            no_wrap=not c.wrap,
            min_width=least[at],
            overflow="fold",
        )
    for row in texts:
        table.add_row(*(row[at] for at in shown))
    _print_whole(to, table, total)
    left_out = [*(column.name for at, column in enumerate(columns) if at not in shown), *also]
    if left_out:
        to.print(cell(f"  not shown: {', '.join(left_out)}; {more}"), end="\n\n", soft_wrap=True)


def print_pairs(to: Console, pairs: Iterable[tuple[str, Cell]], *, indent: int = 2) -> None:
    """Print names with their values, one below the other. Long values wrap below themselves, between words only."""
    listed = list(pairs)
    names = max((cell_len(name) for name, _ in listed), default=0)
    for name, value in listed:
        before = Text(" " * indent).append(name, "dim").append(" " * (names - cell_len(name) + 2))
        lines = [value] if isinstance(value, Text) else [Text(line) for line in _lines(value, to.width - len(before))]
        for line in lines:
            to.print(before + line, soft_wrap=True)
            before = Text(" " * len(before))


def _lines(text: str, width: int) -> list[str]:
    """The text, escaped, in lines that end between words; a word may be longer than the line."""
    safe = printable(text)
    return textwrap.wrap(safe, max(width, 20), break_long_words=False, break_on_hyphens=False) or [safe]


def _print_whole(to: Console, table: Table, total: int) -> None:
    """Print a table wider than the screen without cutting lines: a terminal wraps them."""
    before = to.width
    if total > before:
        to.width = total
    try:
        to.print(table)
    finally:
        if total > before:
            to.width = before


def _fitting(columns: Sequence[Column], least: Sequence[int], width: int) -> tuple[list[int], int]:
    """(columns that fit beside each other, their total width): optional columns are left out from the last one on."""
    shown = list(range(len(columns)))
    while (total := sum(least[at] + _BESIDE for at in shown) + 1) > width:
        optional = [at for at in shown if not columns[at].keep]
        if not optional:
            break
        shown.remove(optional[-1])
    return shown, total


def _width(texts: Iterable[Text]) -> int:
    return max(cell_len(text.plain) for text in texts)


def _longest_word(texts: Iterable[Text]) -> int:
    return max((cell_len(word) for text in texts for word in text.plain.split()), default=1)
