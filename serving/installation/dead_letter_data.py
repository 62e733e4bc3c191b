"""Dead letters as plain data."""

from __future__ import annotations

from typing import Any

from tandem.serving.installation.dead_letters import Found
from tandem.serving.questions.answers.shown_times import short_time

__all__ = ["history", "letter_data", "payload_text"]


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
        data["payload_text"] = payload_text(raw) if stored else None
    return data


def history(letter: Found) -> list[tuple[int, str]]:
    """The history of a letter, in order: (microseconds UTC, words)."""
    events: list[tuple[int, str]] = []
    if letter.stored is not None:
        stored = letter.stored
        events.append((stored.written_at, f"failed in {stored.letter.stage}: {stored.letter.reason}"))
    for act in letter.state.acts:
        what = f"replay {act.attempt} sent to {act.note}" if act.kind == "sent" else f"{act.kind} by hand"
        events.append((act.at, what if act.kind == "sent" or not act.note else f"{what}: {act.note}"))
    for tried in letter.state.tried:
        outcome = "could be read" if tried.decoded else f"failed again in {tried.stage}: {tried.reason}"
        reader = "live" if tried.run[0] else "batch"
        events.append((tried.seen_at, f"replay {tried.attempt}, at {tried.position}#{tried.row}, {reader}: {outcome}"))
    return sorted(events, key=lambda event: event[0])


def payload_text(payload: bytes) -> str | None:
    """The payload as text, if it is UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def _time(time: int | None) -> str | None:
    return None if time is None else short_time(time)
