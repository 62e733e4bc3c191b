"""`tandem export`: every answer there is, for other programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from tandem.named import DefinitionArgument, load_named
from tandem.places import HomeOption, Places, StoreOption, existing_store
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.schemas.compiled import CompiledDefinition
    from tandem.spans import TimeFlags
    from tandem.views.answers import AnswerRow
    from tandem.views.store import ViewStore

__all__ = ["export"]

_FORMATS: Final = ("jsonl", "csv")


def export(
    definition: DefinitionArgument,
    step: Annotated[str | None, typer.Option(metavar="DURATION", help="span of an answer (default: the tile)")] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="WINDOW", help="instead: day, week, month, quarter, year, or a window's name"),
    ] = None,
    zone: Annotated[str | None, typer.Option(metavar="ZONE", help="time zone of the calendar (default: UTC)")] = None,
    first_day: Annotated[str | None, typer.Option(metavar="DAY", help="first day of weeks (default: monday)")] = None,
    form: Annotated[str, typer.Option("--format", metavar="jsonl|csv", help="how they are written")] = "jsonl",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="where to (default: standard output)")] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Write the answers of every key and step that holds an event, all of one instant, sorted by key and time.

    Steps are aligned to 1970-01-01 UTC, or are days, weeks, months, quarters or years in a time zone; a session window
    writes every session. Each line has the key, start and end (exclusive; of a session the times of its first and last
    event), events, how many of them batch has counted, and the results.
    """
    from tandem.schemas.compiled import compile_definition
    from tandem.spans import TimeFlags

    if form not in _FORMATS:
        raise UserError(f"--format {form}: there are {', '.join(_FORMATS)}")
    with existing_store(Places.of(home, store)) as views:
        compiled = compile_definition(load_named(definition, views))
        flags = TimeFlags(0, window=window, zone=zone, first_day=first_day)
        rows = (_record(compiled, row) for row in _answers(views, compiled, step, flags))
        write = _write_jsonl if form == "jsonl" else _write_csv
        _to(out, lambda file: write(file, compiled, rows))


def _answers(views: ViewStore, compiled: CompiledDefinition, step: str | None, flags: TimeFlags) -> Iterator[AnswerRow]:
    from tandem.schemas.windows import CalendarWindow, CumulativeWindow, SessionWindow
    from tandem.spans import check_zone, duration_of, named_window
    from tandem.views.answers import all_answers
    from tandem.views.session_rows import all_sessions

    definition = compiled.definition
    check_zone(definition, flags)
    if flags.window is None:
        return all_answers(views, compiled, duration_of(step, "--step") if step is not None else definition.tile)
    if step is not None:
        raise UserError("--step and --window exclude each other; give one or the other")
    window = named_window(definition, flags.window, flags)
    if isinstance(window, SessionWindow):
        return all_sessions(views, compiled, window.gap)
    if isinstance(window, CalendarWindow):
        return all_answers(views, compiled, window.periods)
    if isinstance(window, CumulativeWindow) or window.every != window.size:
        raise UserError(
            f"--window {flags.window} overlaps itself; what is exported is every event once: steps, calendars, sessions"
        )
    return all_answers(views, compiled, window.size)


def _record(compiled: CompiledDefinition, row: AnswerRow) -> dict[str, Any]:
    from tandem.answer_json import json_value
    from tandem.schemas.certificate import time_text

    key = dict(zip(compiled.definition.key, json.loads(row.key), strict=True))
    times = {"start": time_text(row.start), "end": time_text(row.end)}
    counts = {"events": row.events, "batch_events": row.batch_events}
    return {"key": key, **times, **counts, "results": json_value(row.results)}


def _to(out: Path | None, write: Callable[[IO[str]], None]) -> None:
    if out is None:
        write(sys.stdout)
        return
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            write(file)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}") from error


def _write_jsonl(file: IO[str], compiled: CompiledDefinition, rows: Iterator[dict[str, Any]]) -> None:
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _write_csv(file: IO[str], compiled: CompiledDefinition, rows: Iterator[dict[str, Any]]) -> None:
    writer = csv.writer(file)
    measures = list(compiled.definition.measures)
    writer.writerow([*compiled.definition.key, "start", "end", "events", "batch_events", *measures])
    for row in rows:
        results = [_cell(row["results"][name]) for name in measures]
        writer.writerow([*row["key"].values(), row["start"], row["end"], row["events"], row["batch_events"], *results])


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
