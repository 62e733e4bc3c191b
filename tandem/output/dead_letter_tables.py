"""Prints dead letters for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_SHOWN: Final = 2_000
"""Most bytes of a payload that are shown; --raw writes all."""


def print_letters(to: Console, title: str, letters: Sequence[Found], limit: int | None) -> None:
    """Print a table of the first `limit` letters, and their total numbers."""
    shown = letters if limit is None else letters[:limit]
    if shown:
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
            for each in shown
        )
        print_table(to, columns, rows)
    counts = {status: sum(letter.status == status for letter in letters) for status in _COLOURS}
    summary = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count) or "no dead letters"
    more = f"; {len(letters) - len(shown):,} more with --limit" if len(shown) < len(letters) else ""
    to.print(cell(f"{title}: {summary}{more}"), soft_wrap=True)


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
