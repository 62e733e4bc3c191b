"""Prints dead letters for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from tandem.pipelines.console.printing import cell
from tandem.pipelines.console.tables import Column, print_pairs, print_table
from tandem.schemas.privacy.printable import printable
from tandem.serving.installation.dead_letter_data import history, letter_data, payload_text
from tandem.serving.installation.dead_letters import Found
from tandem.serving.questions.answers.shown_times import short_time

__all__ = ["print_letter", "print_letters"]

_COLOURS: Final = {"open": "red", "in flight": "yellow", "replayed": "green", "dropped": "dim"}
_TABLE: Final = 1_000
"""Letters of one table: the widths of its columns are those of its letters."""
_SHOWN: Final = 2_000
"""Most bytes of a payload that are shown; --raw writes all."""


def print_letters(to: Console, title: str, letters: Iterable[Found], limit: int) -> None:
    """Print a table of the first `limit` letters, and the total numbers of all; a long one with its header again every
    thousand letters.
    """
    letters, shown, counts = iter(letters), 0, Counter[str]()
    while some := list(islice(letters, min(limit - shown, _TABLE))):
        _print_table(to, some)
        shown += len(some)
        counts.update(letter.status for letter in some)
    more = 0
    for letter in letters:
        counts[letter.status] += 1
        more += 1
    summary = ", ".join(f"{counts[status]:,} {status}" for status in _COLOURS if counts[status]) or "no dead letters"
    rest = f"; {more:,} more with --limit" if more else ""
    to.print(cell(f"{title}: {summary}{rest}"), soft_wrap=True)


def _print_table(to: Console, letters: Iterable[Found]) -> None:
    columns = [Column("letter", keep=True), Column("status", keep=True), Column("tries", right=True)]
    columns += [Column("time"), Column("stage"), Column("reason", keep=True, wrap=True)]
    rows = (
        (
            each.id,
            cell(each.status, _COLOURS[each.status]),
            str(each.state.tries),
            short_time(each.time, seconds=True),
            each.stage,
            each.reason,
        )
        for each in letters
    )
    print_table(to, columns, rows)


def print_letter(to: Console, letter: Found) -> None:
    """Print everything about one letter."""
    print_pairs(to, _facts(letter_data(letter, payload=False)), indent=0)
    to.print("\nhistory")
    for at, event in history(letter):
        to.print(cell(f"  {short_time(at)}  {event}"), soft_wrap=True)
    if letter.stored is not None:
        _print_payload(to, letter.stored.letter.payload)


def _facts(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if name == "attributes":
            yield from (("attribute", f"{key} = {text}") for key, text in sorted((value or {}).items()))
        elif value not in (None, ""):
            yield name.replace("_", " "), str(value)


def _print_payload(to: Console, payload: bytes) -> None:
    cut = "" if len(payload) <= _SHOWN else f", the first {_SHOWN:,} of {len(payload):,} bytes; --raw writes all"
    head = payload[:_SHOWN]
    to.print(f"\npayload, hex{cut}", markup=False)
    for at in range(0, len(head), 32):
        to.print(f"  {at:06x}  {head[at : at + 32].hex(' ')}", markup=False, soft_wrap=True)
    text = payload_text(payload)
    if text is not None:
        to.print(f"\npayload, text{cut}", markup=False)
        to.print(Text(printable(text[:_SHOWN], lines=True)), soft_wrap=True)
