"""Prints answers of any kind for people: a table of results, and the certificate below it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from tandem.pipelines.console.printing import cell
from tandem.pipelines.console.tables import Column, print_pairs, print_table
from tandem.schemas.certificate import Status
from tandem.serving.questions.answers.asking import AnyAnswer, KeyAnswer, KeyAnswers, Question
from tandem.serving.questions.answers.json_values import json_value
from tandem.serving.questions.answers.shown_times import short_time
from tandem.serving.questions.selection.selecting import result_names
from tandem.serving.questions.selection.spans import Span
from tandem.views.answers.point import Answer, Series
from tandem.views.answers.sessions import Sessions

if TYPE_CHECKING:
    from tandem.schemas.certificate import Certificate
    from tandem.schemas.definition.loading import Definition

__all__ = ["key_label", "print_any", "print_explanation", "value_text"]

_COLOURS: Final = {Status.FINAL: "green", Status.PROVISIONAL: "yellow", Status.PARTIAL: "red"}
_MORE: Final = "name what you want with --measures, or take --json"
_FEW: Final = 6
"""Most results in a row, unless they are named."""


def print_any(to: Console, question: Question, found: AnyAnswer) -> None:
    """Print an answer of any kind: the question, its results, and the certificate."""
    _print_title(to, question, found)
    if isinstance(found, Answer):
        _print_answer(to, question, found)
    elif isinstance(found, Series):
        _print_series(to, question, found)
    elif isinstance(found, Sessions):
        _print_sessions(to, question, found)
    else:
        _print_keys(to, question, found)
    _print_certificate(to, found.certificate)


def _print_answer(to: Console, question: Question, answer: Answer) -> None:
    values = ((name, value_text(answer.results[name], question.zone)) for name in question.results)
    print_table(to, [Column("measure", keep=True), Column("value", right=True, keep=True, wrap=True)], values)


def _print_series(to: Console, question: Question, series: Series) -> None:
    """One row a step, with its start; in a running series, whose starts are equal, with its end."""
    running = isinstance(question.span, Span) and question.span.cumulative
    rows = (
        ((point.end if running else point.start,), point.events, point.results, point.status) for point in series.points
    )
    _print_rows(to, question, ("until" if running else "start",), rows)


def _print_sessions(to: Console, question: Question, found: Sessions) -> None:
    """One row a session, from its first to its last event."""
    if not found.sessions:
        to.print("\n  no session\n")
        return
    rows = (((s.start, s.end), s.certificate.events, s.results, s.certificate.status) for s in found.sessions)
    _print_rows(to, question, ("first event", "last event"), rows)


def _print_rows(
    to: Console,
    question: Question,
    times: Sequence[str],
    rows: Iterable[tuple[Sequence[int], int, dict[str, Any], Status]],
) -> None:
    columns = [Column(name, keep=True) for name in times]
    columns += [Column("events", right=True, keep=True), Column("status", keep=True)]
    names, zone = _few(question), question.zone
    columns[len(times) + 1 : len(times) + 1] = [Column(name, right=True) for name in names]

    def row(instants: Sequence[int], events: int, results: dict[str, Any], status: Status) -> Sequence[str | Text]:
        values = (value_text(results[name], zone) for name in names)
        times = (short_time(instant, zone=zone) for instant in instants)
        return (*times, f"{events:,}", *values, cell(status.value, _COLOURS[status]))

    print_table(to, columns, (row(*each) for each in rows), also=_others(question, names), more=_MORE)


def _print_keys(to: Console, question: Question, found: KeyAnswers) -> None:
    """One row a key, and one for all matching keys together."""
    names, measures = question.compiled.definition.key, _few(question)
    by = question.ranking.by if question.ranking is not None else ""
    columns = [Column(name, keep=True) for name in names]
    columns += [Column("events", right=True, keep=True)]
    columns += [Column(name, right=True, keep=name == by) for name in measures]

    def row(labels: Sequence[str], answer: KeyAnswer) -> Sequence[str]:
        values = (value_text(answer.results[name], question.zone) for name in measures)
        return (*labels, f"{answer.events:,}", *values)

    rows = [row([_part(value) for value in json.loads(answer.key)], answer) for answer in found.answers]
    if found.total is not None:
        total = f"all {found.keys:,} keys" if found.keys != 1 else "1 key"
        rows.append(row([total, *("" for _ in names[1:])], found.total))
    if rows:
        print_table(to, columns, rows, also=_others(question, measures), more=_MORE)
    to.print(cell(f"  {_counted(question, found)}"), end="\n\n", soft_wrap=True)


def _few(question: Question) -> tuple[str, ...]:
    """The results in a row: those named; else the first, the derived ones, and the one that orders keys."""
    known = result_names(question.compiled)
    if question.results != known or len(known) <= _FEW:
        return question.results
    wanted = {*question.compiled.definition.derive_results}
    if question.ranking is not None:
        wanted.add(question.ranking.by)
    first = [name for name in known if name not in wanted][: max(_FEW - len(wanted), 1)]
    return tuple(name for name in known if name in wanted or name in first)


def _others(question: Question, shown: Sequence[str]) -> list[str]:
    return [name for name in question.results if name not in shown]


def _counted(question: Question, found: KeyAnswers) -> str:
    keys = f"{found.known:,} key{'' if found.known == 1 else 's'}"
    text = f"{keys} with events"
    if question.where is not None:
        text += f", of which {found.keys:,} fit: {question.where.expression.text}"
    if question.ranking is not None:
        ranking = question.ranking
        order = "least" if ranking.least else "greatest"
        text += f"; shown are {len(found.answers):,}, the {order} {ranking.by} first"
    return text


def print_explanation(to: Console, sentences: Iterable[tuple[str, str]]) -> None:
    """Print the words and sentences of `explaining.explain`."""
    to.print()
    to.print("  [bold]Where the numbers come from[/]")
    print_pairs(to, sentences)


def _print_certificate(to: Console, certificate: Certificate) -> None:
    """Print the status with its reasons, and the parts of the answer."""
    status = certificate.status
    print_pairs(
        to,
        [
            ("status", cell(status.value, f"bold {_COLOURS[status]}")),
            *(("", f"- {reason}") for reason in certificate.reasons),
            ("events", f"{certificate.events:,}"),
            ("from batch", _batch_text(certificate)),
            ("from live", _live_text(certificate)),
            ("late, pending", f"{certificate.pending_late:,}"),
            ("dead letters", f"{certificate.dead_letters:,}"),
        ],
    )


def key_label(definition: Definition, key: str) -> str:
    """A canonical key in words, such as `origin=JFK carrier=UA`."""
    pairs = (f"{name}={_part(value)}" for name, value in zip(definition.key, json.loads(key), strict=True))
    return " ".join(pairs) or "all events"


def value_text(value: Any, zone: str = "UTC") -> str:
    """A result for a table: numbers with separators, fractions of at most ten digits in all, lists on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    plain = json_value(value, zone)
    if isinstance(plain, float):
        return _float_text(plain)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {value_text(item, zone)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_item_text(item, zone) for item in value) or "-"
    return str(plain)


def _float_text(value: float) -> str:
    """A float with at most ten digits, and every digit before the point."""
    if not 1e10 <= abs(value) < 1e16:
        return f"{value:,.10g}"
    whole = f"{value:,.1f}"
    return whole.removesuffix(".0")


def _item_text(item: Any, zone: str) -> str:
    """One entry of a top-k: its item, its amount, and the error if there is any."""
    if not isinstance(item, dict) or "value" not in item:
        return value_text(item, zone)
    amounts = [value_text(amount) for name, amount in item.items() if name in ("count", "sum")]
    error = f" ±{value_text(item['error'])}" if item.get("error") else ""
    return f"{value_text(item['value'], zone)} ({', '.join(amounts)}{error})"


def _print_title(to: Console, question: Question, found: AnyAnswer) -> None:
    definition, zone = question.compiled.definition, question.zone
    whose = "all keys" if isinstance(found, KeyAnswers) else key_label(definition, found.key)
    to.print(Text.assemble("  ", (definition.name, "bold"), "  ", cell(whose)), soft_wrap=True)
    upto = f" to {short_time(found.end, zone=zone)}" if found.end != found.start else ""
    to.print(cell(f"  {short_time(found.start, zone=zone)}{upto} ({question.span.label})"), soft_wrap=True)


def _part(value: Any) -> str:
    """One value of a key, for a table."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _batch_text(certificate: Certificate) -> str:
    if certificate.batch_run is None:
        return "0  (no batch run is served)"
    return f"{certificate.batch_events:,}  (boundary: generation {certificate.boundary})"


def _live_text(certificate: Certificate) -> str:
    if certificate.live_run is None:
        return "0  (no live run is served)"
    total = certificate.events - certificate.batch_events
    parts = ", ".join(f"{events:,} in generation {generation}" for generation, events in certificate.live_events)
    return f"{total:,}" + (f"  ({parts})" if parts else "")
