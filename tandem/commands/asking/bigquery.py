"""`tandem bigquery`: answers as a table of BigQuery."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from tandem.commands.asking.span_options import EndOption, MeasuresOption, StartOption, StepOption, WindowOption
from tandem.named import DefinitionArgument, compiled_named
from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

__all__ = ["bigquery"]


def bigquery(
    definition: DefinitionArgument,
    table: Annotated[str, typer.Option(metavar="PROJECT.DATASET.TABLE", help="the table, made where it isn't there")],
    step: StepOption = None,
    window: WindowOption = None,
    start: StartOption = None,
    end: EndOption = None,
    measures: MeasuresOption = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Load the answers of every key and step into a table of BigQuery, in one job that replaces what was there."""
    from tandem.serving.questions.answers.asking import SelectFlags
    from tandem.serving.questions.exports.bigquery_loads import load_table
    from tandem.serving.questions.exports.rows import export_of, exported
    from tandem.serving.questions.selection.spans import TimeFlags
    from tandem.storage.bigquery import check_installed

    if not re.fullmatch(r"[^.\s`]+\.[^.\s`]+\.[^.\s`]+", table):
        raise UserError(f"--table {table}: it is PROJECT.DATASET.TABLE")
    check_installed()
    times = TimeFlags(0, window=window, start=start, end=end, step=step)
    with existing_store(Home.of(home, store)) as views:
        wanted = export_of(compiled_named(definition, views), times, SelectFlags(None, measures, None))
        written = load_table(table, wanted, exported(views, wanted))
    say(f"{table}: {written:,} rows in one load job")
