"""Parses the flags of `tandem query` about sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import format_duration
from tandem.schemas.time.windows import SessionWindow
from tandem.serving.questions.selection.instants import parse_time
from tandem.serving.questions.selection.spans import TimeFlags, check_zone, duration_of, span_of

if TYPE_CHECKING:
    from tandem.schemas.definition.loading import Definition

__all__ = ["SessionFlags", "SessionSpan", "session_span"]


@dataclass(frozen=True, slots=True)
class SessionFlags:
    """A user's input about sessions."""

    sessions: bool = False
    session_at: str | None = None
    gap: str | None = None

    @property
    def given(self) -> bool:
        """Whether any of the flags is given."""
        return self.sessions or self.session_at is not None or self.gap is not None


@dataclass(frozen=True, slots=True)
class SessionSpan:
    """Sessions that overlap [start, end), or, without an end, the one that is current at `start`."""

    start: int
    end: int | None
    gap: int
    label: str


def session_span(definition: Definition, flags: TimeFlags, asked: SessionFlags) -> SessionSpan | None:
    """The wanted sessions; None for a question about something else. Raises UserError."""
    declared = {name: w for name, w in definition.windows.items() if isinstance(w, SessionWindow)}
    by_name = flags.window in declared
    if not asked.given and not by_name:
        return None
    if flags.since is not None:
        raise UserError("--since and sessions exclude each other; give --from and --to")
    if asked.gap is not None and not (asked.sessions or asked.session_at is not None or by_name):
        raise UserError(f"--gap {asked.gap} goes with --sessions or --session-at")
    check_zone(definition, flags)
    gap, name = _gap(definition, declared, flags, asked)
    label = f"{name + ': ' if name else ''}sessions with gaps below {format_duration(gap)}"
    at = _instant(flags, asked, by_name)
    if at is not None:
        return SessionSpan(at, None, gap, label)
    if flags.start is not None and flags.end is not None:
        if flags.window is not None and not by_name:
            raise UserError("--window and --from/--to exclude each other; give one or the other")
        zone = flags.zone or "UTC"
        begin, finish = parse_time(flags.start, "--from", zone), parse_time(flags.end, "--to", zone)
        if begin >= finish:
            raise UserError(f"--from {flags.start} isn't before --to {flags.end}")
        return SessionSpan(begin, finish, gap, label)
    if flags.window is None and flags.start is None and flags.end is None:
        raise UserError("which sessions? give --from and --to, --window with --at, or --session-at")
    span = span_of(definition, flags if not by_name else replace(flags, window=None))
    if span.cumulative:
        raise UserError(f"--window {flags.window} is cumulative; sessions are of a span: give --from and --to")
    return SessionSpan(span.start, span.end, gap, f"{label}, {span.label}")


def _instant(flags: TimeFlags, asked: SessionFlags, by_name: bool) -> int | None:
    """The instant whose session is wanted; None for all sessions of a span."""
    if asked.session_at is not None:
        others = (("--at", flags.at), ("--from", flags.start), ("--to", flags.end))
        for flag, value in (*others, ("--sessions", asked.sessions or None)):
            if value is not None:
                raise UserError(f"{flag} and --session-at exclude each other; give one or the other")
        if flags.window is not None and not by_name:
            raise UserError(f"--window {flags.window} and --session-at exclude each other; give one or the other")
        return parse_time(asked.session_at, "--session-at", flags.zone or "UTC")
    if by_name and flags.start is None and flags.end is None:
        return parse_time(flags.at, "--at", flags.zone or "UTC") if flags.at is not None else flags.now
    if by_name and flags.at is not None:
        raise UserError("--at and --from/--to exclude each other; give one or the other")
    return None


def _gap(
    definition: Definition, declared: dict[str, SessionWindow], flags: TimeFlags, asked: SessionFlags
) -> tuple[int, str]:
    """(gap, name of its window, '' without one)."""
    if not declared:
        tile = format_duration(definition.tile)
        raise UserError(
            f"{definition.name} declares no session window, so its tiles don't keep what sessions need: add "
            f"`windows: {{visit: {{session: 30m}}}}` to the definition (a gap of at least its tile, {tile}), and "
            "build that version"
        )
    if asked.gap is not None:
        gap = duration_of(asked.gap, "--gap")
        if gap < definition.tile:
            raise UserError(f"--gap {asked.gap} is shorter than the tile, {format_duration(definition.tile)}")
        return gap, ""
    if flags.window in declared:
        return declared[flags.window].gap, flags.window
    if len(declared) > 1:
        raise UserError(
            f"which sessions? {definition.name} has {', '.join(declared)}; name one with --window, or give --gap"
        )
    name, window = next(iter(declared.items()))
    return window.gap, name
