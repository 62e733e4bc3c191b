"""`tandem export`: every answer there is, for other programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from schemas.errors import UserError
from tandem.named import DefinitionArgument, load_named
from tandem.places import HomeOption, Places, StoreOption, existing_store

if TYPE_CHECKING:
    from schemas.compiled import CompiledDefinition
    from views.answers import AnswerRow

__all__ = ["export"]

_FORMATS: Final = ("jsonl", "csv")


def export(
    definition: DefinitionArgument,
    step: Annotated[str | None, typer.Option(metavar="DURATION", help="span of an answer (default: the tile)")] = None,
    form: Annotated[str, typer.Option("--format", metavar="jsonl|csv", help="how they are written")] = "jsonl",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="where to (default: standard output)")] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Write the answers of every key and step that holds an event, all of one instant, sorted by key and time.

    Steps are aligned to 1970-01-01 UTC. Each line has the key, start and end (exclusive), events, how many of them
    batch has counted, and the results.
    """
    from schemas.compiled import compile_definition
    from schemas.durations import parse_duration
    from views.answers import all_answers

    if form not in _FORMATS:
        raise UserError(f"--format {form}: there are {', '.join(_FORMATS)}")
    with existing_store(Places.of(home, store)) as views:
        compiled = compile_definition(load_named(definition, views))
        try:
            size = parse_duration(step) if step is not None else compiled.definition.tile
        except ValueError as error:
            raise UserError(f"--step: {error}") from error
        rows = (_record(compiled, row) for row in all_answers(views, compiled, size))
        write = _write_jsonl if form == "jsonl" else _write_csv
        _to(out, lambda file: write(file, compiled, rows))


def _record(compiled: CompiledDefinition, row: AnswerRow) -> dict[str, Any]:
    from schemas.certificate import time_text
    from tandem.answer_json import json_value

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
