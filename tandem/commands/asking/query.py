"""`tandem query`: one answer, a series of them, or those of all keys, with the certificate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.named import DefinitionArgument, compiled_named
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.serving.questions.answers.asking import AnyAnswer, Question
    from tandem.views.store import ViewStore

__all__ = ["query"]

_Text = str | None


def query(
    definition: DefinitionArgument,
    key: Annotated[
        _Text,
        typer.Option(metavar="KEY", help="JFK,UA or origin=JFK,carrier=UA or a JSON array (default: all keys)"),
    ] = None,
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
    zone: Annotated[
        _Text, typer.Option(metavar="ZONE", help="time zone of times and calendar windows (default: UTC)")
    ] = None,
    first_day: Annotated[_Text, typer.Option(metavar="DAY", help="first day of weeks (default: monday)")] = None,
    sessions: Annotated[bool, typer.Option("--sessions", help="list the key's sessions that overlap the span")] = False,
    session_at: Annotated[_Text, typer.Option(metavar="TIME", help="the session that is current then")] = None,
    gap: Annotated[_Text, typer.Option(metavar="DURATION", help="of sessions (default: the definition's)")] = None,
    series: Annotated[bool, typer.Option("--series", help="answer step by step")] = False,
    step: Annotated[
        _Text, typer.Option(metavar="DURATION", help="step of a series, or day ... year (default: the tile)")
    ] = None,
    measures: Annotated[_Text, typer.Option(metavar="NAME,...", help="these results only, in this order")] = None,
    where: Annotated[
        _Text, typer.Option(metavar="EXPRESSION", help="keys, steps or sessions for whose results this is true")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, metavar="N", help="of all keys the N greatest by --by")] = None,
    bottom: Annotated[int | None, typer.Option(min=1, metavar="N", help="of all keys the N least by --by")] = None,
    by: Annotated[
        _Text, typer.Option(metavar="NAME", help="the result that keys are in the order of (default: the first)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="say where the numbers come from")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Answer: the measures of a key, or of all keys, over a window, with a certificate of what they are made of.

    Times are ISO 8601, in UTC unless they have a zone, or --zone gives one, in which times are shown then, too.
    """
    if step is not None and not series:
        raise UserError(f"--step {step} goes with --series")
    if explain and as_json:
        raise UserError("--explain and --json exclude each other; the JSON has the whole certificate")
    from tandem.pipelines.console.printing import print_json
    from tandem.serving.questions.answers.asking import SelectFlags, ask, question_of
    from tandem.serving.questions.selection.session_spans import SessionFlags
    from tandem.serving.questions.selection.spans import TimeFlags

    times = TimeFlags(time.time_ns() // 1000, window, at, start, end, since, zone, first_day, step)
    asked, select = SessionFlags(sessions, session_at, gap), SelectFlags(key, measures, where, by, top, bottom)
    with existing_store(Home.of(home, store)) as views:
        compiled = compiled_named(definition, views)
        question = question_of(compiled, times, asked, select, series=series)
        found = ask(views, question)
        if as_json:
            from tandem.serving.questions.answers.answer_data import answer_data

            print_json(answer_data(question, found))
        else:
            _show(views, question, found, explain)


def _show(store: ViewStore, question: Question, found: AnyAnswer, explain: bool) -> None:
    from tandem.output.answer_tables import print_any, print_explanation
    from tandem.pipelines.console.printing import cell, console
    from tandem.serving.questions.selection.naming import other_keys
    from tandem.views.answers.sessions import Sessions

    to = console()
    print_any(to, question, found)
    certificate = found.certificate
    if question.key is not None and not certificate.events:
        others = other_keys(store, question.compiled.version, question.key)
        if others:
            to.print(cell(f"  nothing is known of this key; keys there are: {others}"), soft_wrap=True)
    if explain:
        from tandem.serving.questions.explanations.explaining import explain as sentences

        served = store.publishing.served(certificate.name)
        publication = served if served is not None and served.ordinal == certificate.publication else None
        end = found.decided_by[1] if isinstance(found, Sessions) else found.end
        definition = question.compiled.definition
        print_explanation(to, sentences(definition, certificate, publication, end))
