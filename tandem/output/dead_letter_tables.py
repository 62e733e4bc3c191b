"""Dead letters as plain data and for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from tandem.commands.dead_letter_selection import Found
from tandem.output.instants import short_time
from tandem.output.printing import cell
from tandem.output.tables import Column, print_pairs, print_table
from tandem.schemas.privacy.printable import printable

__all__ = ["letter_data", "print_letter", "print_letters"]

_COLOURS: Final = {"open": "red", "in flight": "yellow", "replayed": "green", "dropped": "dim"}
_SHOWN: Final = 2_000
"""Bytes of a payload that are shown; --raw writes all."""


def letter_data(letter: Found, *, payload: bool) -> dict[str, Any]:
    """A letter as JSON data; times are ISO 8601 in UTC, the payload in hex and, where it is UTF-8, as text."""
    state, stored = letter.state, letter.stored
    data: dict[str, Any] = {
        "letter": letter.id,
        "status": letter.status,
        "reason": letter.reason,
        "stage": letter.stage,
        "tries": state.tries,
        "position": state.position,
        "row": state.row,
        "generation": state.generation,
        "publish_time": _time(stored.letter.publish_time or None) if stored else None,
        "written_at": _time(stored.written_at) if stored else None,
        "message_id": stored.letter.message_id if stored else None,
        "attributes": stored.letter.attributes if stored else None,
        "bytes": len(stored.letter.payload) if stored else None,
        "problem": letter.problem or None,
    }
    if payload:
        data["history"] = [{"at": _time(at), "event": event} for at, event in history(letter)]
        raw = stored.letter.payload if stored else b""
        data["payload_hex"] = raw.hex() if stored else None
        data["payload_text"] = _text(raw) if stored else None
    return data


def history(letter: Found) -> list[tuple[int, str]]:
    """What happened to a letter, in order: (microseconds UTC, words)."""
    events: list[tuple[int, str]] = []
    if letter.stored is not None:
        stored = letter.stored
        events.append((stored.written_at, f"failed in {stored.letter.stage}: {stored.letter.reason}"))
    for act in letter.state.acts:
        what = f"replay {act.attempt} sent to {act.note}" if act.kind == "sent" else f"{act.kind} by hand"
        events.append((act.at, what if act.kind == "sent" or not act.note else f"{what}: {act.note}"))
    for tried in letter.state.tried:
        fate = "could be read" if tried.decoded else f"failed again in {tried.stage}: {tried.reason}"
        reader = "live" if tried.run[0] else "batch"
        events.append((tried.seen_at, f"replay {tried.attempt}, at {tried.position}#{tried.row}, {reader}: {fate}"))
    return sorted(events, key=lambda event: event[0])


def print_letters(to: Console, title: str, letters: Sequence[Found], limit: int | None) -> None:
    """A table of the first `limit` letters, and how many there are."""
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
    """All of one letter."""
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
    text = _text(payload)
    if text is not None:
        to.print(f"\npayload, text{cut}", markup=False)
        to.print(Text(printable(text[:_SHOWN], lines=True)), soft_wrap=True)


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def _time(time: int | None) -> str | None:
    return None if time is None else short_time(time)
