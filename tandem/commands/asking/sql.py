"""`tandem sql`: SELECT over answers, events and the installation's state, once or in a shell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.places import HomeOption, JournalOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import LaunchError, UserError

if TYPE_CHECKING:
    from tandem.serving.sql.asking import SqlLimits
    from tandem.serving.sql.source import SqlSource
    from tandem.views.store import ViewStore

__all__ = ["sql"]

_FORMS = ("table", "json", "csv", "parquet", "arrow")
_MOST = 10_000
"""Most rows of a table for people, by default."""


def sql(
    statement: Annotated[
        str | None, typer.Argument(metavar="[SELECT]", help="the statement (default: a shell; - for standard input)")
    ] = None,
    form: Annotated[str, typer.Option("--format", metavar="|".join(_FORMS), help="how rows are written")] = "table",
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="rows at most")] = None,
    time_limit: Annotated[
        str, typer.Option("--time-limit", metavar="DURATION", help="until a statement must be answered")
    ] = "5m",
    out: Annotated[
        Path | None, typer.Option("--output", "--out", "-o", metavar="FILE", help="where to (default: standard output)")
    ] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
    dead_letters: Annotated[
        str | None, typer.Option("--dead-letters", metavar="PLACE", help="folder or URL of dead letters")
    ] = None,
) -> None:
    """Ask with SQL: answers of any window, events, late, dead_letters, results, generations, publications, drift.

    Each definition is a table of its answers by tile; answers('NAME', '1h') has those of any window, events('NAME') the
    decoded events with copies marked. Nothing can be written, and all tables of a statement are of one instant.
    """
    if form not in _FORMS:
        raise UserError(f"--format {form}: {suggestion(form, list(_FORMS))}")
    try:
        import duckdb  # noqa: F401
    except ModuleNotFoundError as error:
        raise LaunchError("duckdb isn't installed", "pip install 'tandem-beam[sql]'") from error
    from tandem.serving.questions.selection.spans import duration_of
    from tandem.serving.sql.asking import SqlLimits

    rows = limit if limit is not None else _MOST if form == "table" else SqlLimits().rows
    limits = SqlLimits(rows=rows, seconds=duration_of(time_limit, "--time-limit") / 1e6)
    places = Home.of(home, store, journal, dead_letters)
    with existing_store(places) as views:
        source = _source(views, places)
        if statement is None and sys.stdin.isatty():
            if form != "table" or out is not None:
                raise UserError("--format and --output go with a statement; the shell shows tables")
            from tandem.output.sql_shell import run_shell

            run_shell(source, limits)
            return
        text = sys.stdin.read() if statement in (None, "-") else str(statement)
        _once(source, text, limits, form, out)


def _source(views: ViewStore, places: Home) -> SqlSource:
    from tandem.serving.questions.selection.naming import registered_names
    from tandem.serving.sql.source import SqlSource, all_visible

    return SqlSource(views, places.journal, places.dead_letters, registered_names(views), all_visible)


def _once(source: SqlSource, statement: str, limits: SqlLimits, form: str, out: Path | None) -> None:
    from tandem.output.files import written_to
    from tandem.output.sql_tables import print_rows, say_if_cut
    from tandem.pipelines.console.printing import console
    from tandem.serving.sql.asking import ask_sql
    from tandem.serving.sql.forms import BINARY_TABLES, write_table

    if form in BINARY_TABLES and out is None and sys.stdout.isatty():
        raise UserError(f"--format {form} isn't for a terminal: --output FILE names a file")
    if form == "table" and out is not None:
        raise UserError("--output goes with --format json, csv, parquet or arrow")
    found = ask_sql(source, statement, limits)
    if form == "table":
        print_rows(console(), found.table)
    else:
        with written_to(out) as file:
            write_table(file, found.table, form)
    say_if_cut(found)
