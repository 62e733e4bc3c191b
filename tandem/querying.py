"""`tandem query`: one answer, or a series of them, with the certificate."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tandem.named import DefinitionArgument, known_keys, load_named
from tandem.places import HomeOption, Places, StoreOption, existing_store
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.schemas.calendars import Calendar
    from tandem.schemas.compiled import CompiledDefinition
    from tandem.schemas.definition import Definition
    from tandem.session_spans import SessionFlags, SessionSpan
    from tandem.spans import Span, TimeFlags
    from tandem.views.answers import Answer, Series
    from tandem.views.sessions import Sessions
    from tandem.views.store import ViewStore

__all__ = ["query"]

_SOME_KEYS: Final = 5

_Text = str | None


def query(
    definition: DefinitionArgument,
    key: Annotated[_Text, typer.Option(metavar="KEY", help="JFK,UA or origin=JFK,carrier=UA or a JSON array")] = None,
    window: Annotated[
        _Text,
        typer.Option(metavar="WINDOW", help="a duration such as 1d; a window's name; day, week, month, quarter, year"),
    ] = None,
    at: Annotated[_Text, typer.Option(metavar="TIME", help="the window that is current then (default: now)")] = None,
    start: Annotated[_Text, typer.Option("--from", metavar="TIME", help="start of a span")] = None,
    end: Annotated[_Text, typer.Option("--to", metavar="TIME", help="its end, exclusive")] = None,
    since: Annotated[
        _Text,
        typer.Option(metavar="TIME", help="all since a time, the start of a day ... year, or ever; up to --at, --to"),
    ] = None,
    zone: Annotated[_Text, typer.Option(metavar="ZONE", help="time zone of calendar windows (default: UTC)")] = None,
    first_day: Annotated[_Text, typer.Option(metavar="DAY", help="first day of weeks (default: monday)")] = None,
    sessions: Annotated[bool, typer.Option("--sessions", help="list the key's sessions that overlap the span")] = False,
    session_at: Annotated[_Text, typer.Option(metavar="TIME", help="the session that is current then")] = None,
    gap: Annotated[_Text, typer.Option(metavar="DURATION", help="of sessions (default: the definition's)")] = None,
    series: Annotated[bool, typer.Option("--series", help="answer step by step")] = False,
    step: Annotated[
        _Text, typer.Option(metavar="DURATION", help="step of a series, or day ... year (default: the tile)")
    ] = None,
    measures: Annotated[_Text, typer.Option(metavar="NAME,...", help="these measures only, in this order")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="say where the numbers come from")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Answer: the measures of a key over a window, with a certificate of what they are made of.

    Times are ISO 8601, in UTC unless they have a zone, or --zone gives one.
    """
    if step is not None and not series:
        raise UserError(f"--step {step} goes with --series")
    if explain and as_json:
        raise UserError("--explain and --json exclude each other; the JSON has the whole certificate")
    from tandem.schemas.compiled import compile_definition
    from tandem.session_spans import SessionFlags
    from tandem.spans import TimeFlags

    flags = TimeFlags(time.time_ns() // 1000, window, at, start, end, since, zone, first_day, step)
    asked = SessionFlags(sessions, session_at, gap)
    with existing_store(Places.of(home, store)) as views:
        compiled = compile_definition(load_named(definition, views))
        question = _Question(
            compiled,
            _key(compiled, views, key),
            *_times(compiled.definition, flags, asked, series),
            _measures(compiled, measures),
        )
        found = _ask(views, question)
        if as_json:
            typer.echo(_json(question, found))
        else:
            _show(views, question, found, explain)


@dataclass(frozen=True, slots=True)
class _Question:
    compiled: CompiledDefinition
    key: str
    span: Span | SessionSpan
    step: int | Calendar | None
    """Of a series; None for one answer, and for sessions."""
    measures: tuple[str, ...]


def _times(
    definition: Definition, flags: TimeFlags, asked: SessionFlags, series: bool
) -> tuple[Span | SessionSpan, int | Calendar | None]:
    from tandem.session_spans import session_span
    from tandem.spans import span_of, step_of

    wanted = session_span(definition, flags, asked)
    if wanted is not None:
        if series:
            raise UserError("--series and sessions exclude each other; sessions are listed one by one")
        return wanted, None
    span = span_of(definition, flags)
    return span, step_of(definition, span, flags) if series else None


def _ask(store: ViewStore, question: _Question) -> Answer | Series | Sessions:
    from tandem.session_spans import SessionSpan
    from tandem.views.answers import answer, series_over
    from tandem.views.cumulative import answer_ever, cumulative
    from tandem.views.sessions import session_at, sessions
    from tandem.views.windows import edges_of

    compiled, key, span, step = question.compiled, question.key, question.span, question.step
    if isinstance(span, SessionSpan):
        if span.end is None:
            return session_at(store, compiled, key, span.start, span.gap)
        return sessions(store, compiled, key, span.start, span.end, span.gap)
    if step is None:
        if span.ever:
            return answer_ever(store, compiled, key, span.end)
        return answer(store, compiled, key, span.start, span.end)
    if span.cumulative:
        return cumulative(store, compiled, key, None if span.ever else span.start, span.end, step)
    return series_over(store, compiled, key, edges_of(span.start, span.end, step))


def _json(question: _Question, found: Answer | Series | Sessions) -> str:
    from tandem.answer_json import answer_data, series_data, sessions_data
    from tandem.views.answers import Answer, Series

    if isinstance(found, Answer):
        data = answer_data(found)
        holders = [data]
    elif isinstance(found, Series):
        data = series_data(found)
        holders = data["points"]
    else:
        data = sessions_data(found)
        holders = data["sessions"]
    for holder in holders:
        holder["results"] = {name: holder["results"][name] for name in question.measures}
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def _show(store: ViewStore, question: _Question, found: Answer | Series | Sessions, explain: bool) -> None:
    from tandem.answer_tables import console, print_answer, print_explanation, print_series, print_sessions
    from tandem.spans import Span
    from tandem.views.answers import Answer, Series

    to, definition, label = console(), question.compiled.definition, question.span.label
    if isinstance(found, Answer):
        print_answer(to, definition, found, label, question.measures)
    elif isinstance(found, Series):
        running = isinstance(question.span, Span) and question.span.cumulative
        print_series(to, definition, found, label, question.measures, running=running)
    else:
        print_sessions(to, definition, found, label, question.measures)
    certificate = found.certificate
    if not certificate.events and (others := _other_keys(store, question)):
        to.print(f"\n  nothing is known of this key; keys there are: {others}", markup=False)
    if explain:
        from tandem.explaining import explain as sentences

        served = store.served(certificate.name)
        publication = served if served is not None and served.ordinal == certificate.publication else None
        end = found.end if isinstance(found, Answer | Series) else found.decided_by[1]
        print_explanation(to, sentences(definition, certificate, publication, end))


def _other_keys(store: ViewStore, question: _Question) -> str:
    """Some keys that have rows; '' if the one that was asked for has, or if there are none."""
    if known_keys(store, question.compiled.version, 1, at=question.key):
        return ""
    return _listed(known_keys(store, question.compiled.version, _SOME_KEYS))


def _key(compiled: CompiledDefinition, store: ViewStore, text: str | None) -> str:
    from tandem.schemas.compiled import key_text

    if text is not None:
        return key_text(compiled, text)
    columns = compiled.definition.key
    if not columns:
        return key_text(compiled, "[]")
    keys = _listed(known_keys(store, compiled.version, _SOME_KEYS))
    there = f"keys there are: {keys}" if keys else "there are no keys yet"
    raise UserError(f"--key is missing; the key of {compiled.definition.name} is {','.join(columns)}; {there}")


def _listed(keys: list[str]) -> str:
    """Canonical keys, the way that `--key` takes them."""
    shown = [_short(key) for key in keys[: _SOME_KEYS - 1]]
    return "; ".join([*shown, "..."] if len(keys) == _SOME_KEYS else shown)


def _short(key: str) -> str:
    values = json.loads(key)
    plain = all(isinstance(value, str) and value and not set(value) & set(" ,=\"'[{\n\r\t") for value in values)
    return ",".join(values) if plain else f"'{key}'"


def _measures(compiled: CompiledDefinition, text: str | None) -> tuple[str, ...]:
    from tandem.schemas.suggestions import suggestion

    known = tuple(compiled.definition.measures)
    chosen = tuple(name.strip() for name in text.split(",")) if text is not None else known
    for name in chosen:
        if name not in known:
            raise UserError(
                f"--measures: {compiled.definition.name} has no measure {name!r}; {suggestion(name, known)}"
            )
    return tuple(dict.fromkeys(chosen))
