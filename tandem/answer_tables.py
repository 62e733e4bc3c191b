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

from tandem.answer_json import json_value
from tandem.instants import short_time
from tandem.schemas.certificate import Status

if TYPE_CHECKING:
    from tandem.schemas.certificate import Certificate
    from tandem.schemas.definition import Definition
    from tandem.views.answers import Answer, Series
    from tandem.views.sessions import Sessions

__all__ = [
    "certificate_table",
    "console",
    "key_label",
    "print_answer",
    "print_explanation",
    "print_series",
    "print_sessions",
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


def print_answer(to: Console, definition: Definition, answer: Answer, label: str, measures: Sequence[str]) -> None:
    """The measures of one answer, and its certificate. `label`: what the user called its window."""
    _print_title(to, definition, answer, label)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name in measures:
        table.add_row(name, escape(value_text(answer.results[name])))
    to.print(table)
    to.print(certificate_table(answer.certificate))


def print_series(
    to: Console, definition: Definition, series: Series, label: str, measures: Sequence[str], *, running: bool = False
) -> None:
    """One row a step, and the certificate of all of it; of many measures the first few.

    A step is told by its start, or in a `running` series, where all have the same start, by its end.
    """
    _print_title(to, definition, series, label)
    rows = (
        ((point.end if running else point.start,), point.events, point.results, point.status) for point in series.points
    )
    _print_rows(to, definition, ("until" if running else "start",), rows, measures)
    to.print(certificate_table(series.certificate))


def print_sessions(to: Console, definition: Definition, found: Sessions, label: str, measures: Sequence[str]) -> None:
    """One row a session, from its first to its last event, and the certificate of the list."""
    _print_title(to, definition, found, label)
    rows = (((s.start, s.end), s.certificate.events, s.results, s.certificate.status) for s in found.sessions)
    if found.sessions:
        _print_rows(to, definition, ("first event", "last event"), rows, measures)
    else:
        to.print("\n  no session\n")
    to.print(certificate_table(found.certificate))


def _print_rows(
    to: Console,
    definition: Definition,
    times: Sequence[str],
    rows: Iterable[tuple[Sequence[int], int, dict[str, Any], Status]],
    measures: Sequence[str],
) -> None:
    shown = measures if len(measures) < len(definition.measures) else measures[:_FEW]
    table = Table(box=box.SIMPLE_HEAD)
    for name in times:
        table.add_column(name, no_wrap=True)
    for name in ("events", *shown):
        table.add_column(name, justify="right")
    table.add_column("status", no_wrap=True)
    for instants, events, results, status in rows:
        values = (escape(value_text(results[name])) for name in shown)
        table.add_row(*map(short_time, instants), f"{events:,}", *values, f"[{_COLOURS[status]}]{status.value}[/]")
    to.print(table)
    if len(shown) < len(measures):
        left = ", ".join(measures[len(shown) :])
        to.print(f"  not shown: {left}; name what you want with --measures, or take --json\n")


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


def _print_title(to: Console, definition: Definition, found: Answer | Series | Sessions, label: str) -> None:
    to.print(f"  [bold]{definition.name}[/]  {escape(key_label(definition, found.key))}")
    upto = f" to {short_time(found.end)}" if found.end != found.start else ""
    to.print(f"  {short_time(found.start)}{upto} ({escape(label)})")


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
