"""`tandem export`: the answers of all keys and steps, for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tandem.commands.asking.span_options import EndOption, MeasuresOption, StartOption, StepOption
from tandem.named import DefinitionArgument, compiled_named
from tandem.output.files import written_to
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import UserError

__all__ = ["export"]

_Text = str | None


def export(
    definition: DefinitionArgument,
    step: StepOption = None,
    window: Annotated[
        _Text,
        typer.Option(metavar="WINDOW", help="instead: day, week, month, quarter, year, or a window's name"),
    ] = None,
    start: StartOption = None,
    end: EndOption = None,
    zone: Annotated[
        _Text, typer.Option(metavar="ZONE", help="time zone of times and of the calendar (default: UTC)")
    ] = None,
    first_day: Annotated[_Text, typer.Option(metavar="DAY", help="first day of weeks (default: monday)")] = None,
    key: Annotated[_Text, typer.Option(metavar="KEY", help="of this key only, written as for `query`")] = None,
    measures: MeasuresOption = None,
    where: Annotated[_Text, typer.Option(metavar="EXPRESSION", help="rows only for whose results this is true")] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="jsonl|csv|parquet|arrow", help="how they are written")
    ] = "jsonl",
    raw: Annotated[bool, typer.Option("--raw", help="CSV: leave texts that begin like a formula as they are")] = False,
    out: Annotated[
        Path | None, typer.Option("--output", "--out", "-o", metavar="FILE", help="where to (default: standard output)")
    ] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Write the answers of every key and step that holds an event, all of one instant, sorted by key and time.

    Steps are aligned to 1970-01-01 UTC, or are days, weeks, months, quarters or years in a time zone; a session window
    writes every session. Each row has the key, start and end (exclusive; of a session the times of its first and last
    event), events, how many of them batch has counted, and the results.
    """
    from tandem.serving.questions.answers.asking import SelectFlags
    from tandem.serving.questions.exports.forms import BINARY, FORMS, write_rows
    from tandem.serving.questions.exports.rows import export_of, exported
    from tandem.serving.questions.selection.spans import TimeFlags

    if form not in FORMS:
        raise UserError(f"--format {form}: {suggestion(form, list(FORMS))}")
    if raw and form != "csv":
        raise UserError(f"--raw goes with --format csv; {form} has no formulas")
    if out is None and form in BINARY and sys.stdout.isatty():
        raise UserError(f"--format {form} isn't for a terminal: --output FILE names a file")
    times = TimeFlags(0, window=window, start=start, end=end, zone=zone, first_day=first_day, step=step)
    with existing_store(Home.of(home, store)) as views:
        compiled = compiled_named(definition, views)
        wanted = export_of(compiled, times, SelectFlags(key, measures, where))
        with written_to(out) as file:
            write_rows(file, wanted, exported(views, wanted), form, raw=raw)
