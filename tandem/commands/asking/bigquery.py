"""`tandem bigquery`: answers as a table of BigQuery."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.commands.asking.span_options import EndOption, MeasuresOption, StartOption, StepOption, WindowOption
from tandem.named import DefinitionArgument, compiled_named
from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.serving.questions.exports.bigquery_batch import Delivered

__all__ = ["bigquery"]


def bigquery(
    definition: DefinitionArgument,
    table: Annotated[str, typer.Option(metavar="PROJECT.DATASET.TABLE", help="the table, made where it isn't there")],
    step: StepOption = None,
    window: WindowOption = None,
    start: StartOption = None,
    end: EndOption = None,
    measures: MeasuresOption = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="what batch has, by tile: days that have changed are replaced, one job each"),
    ] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Load the answers of every key and step into a table of BigQuery, in one job that replaces what was there."""
    if batch and any(given is not None for given in (step, window, start, end, measures)):
        raise UserError("--batch loads all measures of every tile, so that days can be replaced: it goes alone")
    from tandem.serving.questions.answers.asking import SelectFlags
    from tandem.serving.questions.exports.bigquery_batch import deliver_batch
    from tandem.serving.questions.exports.bigquery_loads import load_table
    from tandem.serving.questions.exports.rows import export_of, exported
    from tandem.serving.questions.selection.spans import TimeFlags
    from tandem.storage.bigquery import check_installed

    if not re.fullmatch(r"[^.\s`]+\.[^.\s`]+\.[^.\s`]+", table) or not table.isprintable():
        raise UserError(f"--table {table}: it is PROJECT.DATASET.TABLE")
    check_installed()
    times = TimeFlags(0, window=window, start=start, end=end, step=step)
    with existing_store(Home.of(home, store)) as views:
        if batch:
            _say(table, deliver_batch(views, compiled_named(definition, views), table))
            return
        wanted = export_of(compiled_named(definition, views), times, SelectFlags(None, measures, None))
        written = load_table(table, wanted, exported(views, wanted))
    say(f"{table}: {written:,} rows in one load job")


def _say(table: str, done: Delivered) -> None:
    what = f"batch run {done.batch_run}, publication {done.publication}"
    if done.days == 0:
        say(f"{table}: holds {what} already")
        return
    days = "all days" if done.days is None else f"{done.days:,} {'day' if done.days == 1 else 'days'}"
    say(f"{table}: {done.rows:,} rows of {days} in {done.jobs:,} load {'job' if done.jobs == 1 else 'jobs'}; {what}")
