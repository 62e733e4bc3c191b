"""`tandem query`: one answer, or a series of them, with the certificate."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from schemas.errors import UserError
from tandem.named import DefinitionArgument, known_keys, load_named
from tandem.places import HomeOption, Places, StoreOption, existing_store

if TYPE_CHECKING:
    from schemas.compiled import CompiledDefinition
    from tandem.spans import Span
    from views.answers import Answer, Series
    from views.store import ViewStore

__all__ = ["query"]

_SOME_KEYS: Final = 5


def query(
    definition: DefinitionArgument,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="JFK,UA or origin=JFK,carrier=UA or a JSON array")
    ] = None,
    window: Annotated[
        str | None, typer.Option(metavar="WINDOW", help="a duration such as 1d, or a window's name")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="the window that is current then (default: now)")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="start of a span")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="its end, exclusive")] = None,
    series: Annotated[bool, typer.Option("--series", help="answer step by step")] = False,
    step: Annotated[str | None, typer.Option(metavar="DURATION", help="step of a series (default: the tile)")] = None,
    measures: Annotated[str | None, typer.Option(metavar="NAME,...", help="these measures only, in this order")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="say where the numbers come from")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Answer: the measures of a key over a window, with a certificate of what they are made of.

    Times are ISO 8601, in UTC unless they have a zone.
    """
    if step is not None and not series:
        raise UserError(f"--step {step} goes with --series")
    if explain and as_json:
        raise UserError("--explain and --json exclude each other; the JSON has the whole certificate")
    from schemas.compiled import compile_definition
    from tandem.spans import span_of, step_of

    with existing_store(Places.of(home, store)) as views:
        compiled = compile_definition(load_named(definition, views))
        span = span_of(compiled.definition, window, at, start, end, time.time_ns() // 1000)
        question = _Question(
            compiled,
            _key(compiled, views, key),
            span,
            step_of(compiled.definition, span, step) if series else None,
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
    span: Span
    step: int | None
    """Of a series; None for one answer."""
    measures: tuple[str, ...]


def _ask(store: ViewStore, question: _Question) -> Answer | Series:
    from views.answers import answer, series

    span = question.span
    if question.step is None:
        return answer(store, question.compiled, question.key, span.start, span.end)
    return series(store, question.compiled, question.key, span.start, span.end, question.step)


def _json(question: _Question, found: Answer | Series) -> str:
    from tandem.answer_json import answer_data, series_data
    from views.answers import Answer

    if isinstance(found, Answer):
        data = answer_data(found)
        holders = [data]
    else:
        data = series_data(found)
        holders = data["points"]
    for holder in holders:
        holder["results"] = {name: holder["results"][name] for name in question.measures}
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def _show(store: ViewStore, question: _Question, found: Answer | Series, explain: bool) -> None:
    from tandem.answer_tables import console, print_answer, print_explanation, print_series
    from views.answers import Answer

    to, definition = console(), question.compiled.definition
    if isinstance(found, Answer):
        print_answer(to, definition, found, question.span, question.measures)
    else:
        print_series(to, definition, found, question.span, question.measures)
    certificate = found.certificate
    if not certificate.events and (others := _other_keys(store, question)):
        to.print(f"\n  nothing is known of this key; keys there are: {others}", markup=False)
    if explain:
        from tandem.explaining import explain as sentences

        served = store.served(certificate.name)
        publication = served if served is not None and served.ordinal == certificate.publication else None
        print_explanation(to, sentences(definition, certificate, publication, found.end))


def _other_keys(store: ViewStore, question: _Question) -> str:
    """Some keys that have rows; '' if the one that was asked for has, or if there are none."""
    if known_keys(store, question.compiled.version, 1, at=question.key):
        return ""
    return _listed(known_keys(store, question.compiled.version, _SOME_KEYS))


def _key(compiled: CompiledDefinition, store: ViewStore, text: str | None) -> str:
    from schemas.compiled import key_text

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
    from schemas.suggestions import suggestion

    known = tuple(compiled.definition.measures)
    chosen = tuple(name.strip() for name in text.split(",")) if text is not None else known
    for name in chosen:
        if name not in known:
            raise UserError(
                f"--measures: {compiled.definition.name} has no measure {name!r}; {suggestion(name, known)}"
            )
    return tuple(dict.fromkeys(chosen))
