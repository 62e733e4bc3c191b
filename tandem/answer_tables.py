"""Answers and series for people: a table of measures, and the certificate below it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.certificate import Status
from tandem.answer_json import json_value
from tandem.instants import short_time

if TYPE_CHECKING:
    from schemas.certificate import Certificate
    from schemas.definition import Definition
    from tandem.spans import Span
    from views.answers import Answer, Series

__all__ = [
    "certificate_table",
    "console",
    "key_label",
    "print_answer",
    "print_explanation",
    "print_series",
    "value_text",
]

_COLOURS: Final = {Status.FINAL: "green", Status.PROVISIONAL: "yellow", Status.PARTIAL: "red"}
_WIDTH: Final = 160
"""Characters a line where there is no terminal to ask."""
_FEW: Final = 6
"""Measures in a series, unless they are named."""


def console() -> Console:
    """Standard output; where it isn't a terminal, with a width of its own."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def print_answer(to: Console, definition: Definition, answer: Answer, span: Span, measures: Sequence[str]) -> None:
    """The measures of one answer, and its certificate."""
    _print_title(to, definition, answer.key, span)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name in measures:
        table.add_row(name, escape(value_text(answer.results[name])))
    to.print(table)
    to.print(certificate_table(answer.certificate))


def print_series(to: Console, definition: Definition, series: Series, span: Span, measures: Sequence[str]) -> None:
    """One row a step, and the certificate of all of it; of many measures the first few."""
    shown = measures if len(measures) < len(definition.measures) else measures[:_FEW]
    _print_title(to, definition, series.key, span)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("start", no_wrap=True)
    for name in ("events", *shown):
        table.add_column(name, justify="right")
    table.add_column("status", no_wrap=True)
    for point in series.points:
        values = (escape(value_text(point.results[name])) for name in shown)
        status = f"[{_COLOURS[point.status]}]{point.status.value}[/]"
        table.add_row(short_time(point.start), f"{point.events:,}", *values, status)
    to.print(table)
    if len(shown) < len(measures):
        left = ", ".join(measures[len(shown) :])
        to.print(f"  not shown: {left}; name what you want with --measures, or take --json\n")
    to.print(certificate_table(series.certificate))


def print_explanation(to: Console, sentences: Iterable[tuple[str, str]]) -> None:
    """Words and sentences of `explaining.explain`."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for word, sentence in sentences:
        table.add_row(f"  {word}", escape(sentence))
    to.print()
    to.print("  [bold]Where the numbers come from[/]")
    to.print(table)


def certificate_table(certificate: Certificate) -> Table:
    """Status with its reasons, and what the answer is made of."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    status = certificate.status
    table.add_row("  status", f"[bold {_COLOURS[status]}]{status.value}[/]")
    for reason in certificate.reasons:
        table.add_row("", f"- {escape(reason)}")
    table.add_row("  events", f"{certificate.events:,}")
    table.add_row("  from batch", _batch_text(certificate))
    table.add_row("  from live", _live_text(certificate))
    table.add_row("  late, pending", f"{certificate.pending_late:,}")
    table.add_row("  dead letters", f"{certificate.dead_letters:,}")
    return table


def key_label(definition: Definition, key: str) -> str:
    """`origin=JFK carrier=UA` of a canonical key."""
    values = json.loads(key)
    pairs = (
        f"{name}={json.dumps(v) if v is None or isinstance(v, bool) else v}"
        for name, v in zip(definition.key, values, strict=True)
    )
    return " ".join(pairs) or "all events"


def value_text(value: Any) -> str:
    """A result in a table: numbers with separators and at most ten digits, lists and mappings on a line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    plain = json_value(value)
    if isinstance(plain, float):
        return f"{plain:,.10g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {value_text(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_item_text(item) for item in value) or "-"
    return str(plain)


def _item_text(item: Any) -> str:
    """One entry of a top-k: its item and its amount, and the error where there is any."""
    if not isinstance(item, dict) or "value" not in item:
        return value_text(item)
    amounts = [value_text(amount) for name, amount in item.items() if name in ("count", "sum")]
    error = f" ±{value_text(item['error'])}" if item.get("error") else ""
    return f"{value_text(item['value'])} ({', '.join(amounts)}{error})"


def _print_title(to: Console, definition: Definition, key: str, span: Span) -> None:
    to.print(f"  [bold]{definition.name}[/]  {escape(key_label(definition, key))}")
    to.print(f"  {short_time(span.start)} to {short_time(span.end)} ({span.label})")


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
