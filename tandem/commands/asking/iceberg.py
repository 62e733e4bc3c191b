"""`tandem iceberg`: answers as an Iceberg table, which other engines read."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tandem.commands.asking.span_options import EndOption, MeasuresOption, StartOption, StepOption, WindowOption
from tandem.named import DefinitionArgument, compiled_named
from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

__all__ = ["iceberg"]

_Text = str | None


def iceberg(
    definition: DefinitionArgument,
    table: Annotated[str, typer.Option(metavar="NAMESPACE.NAME", help="the table, made where it isn't there")],
    warehouse: Annotated[
        _Text, typer.Option(metavar="FOLDER", help="where data and a catalog lie (default: --catalog's)")
    ] = None,
    catalog: Annotated[_Text, typer.Option(metavar="NAME", help="a catalog of pyiceberg's settings")] = None,
    step: StepOption = None,
    window: WindowOption = None,
    start: StartOption = None,
    end: EndOption = None,
    measures: MeasuresOption = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Write the answers of every key and step into an Iceberg table, in one commit that replaces what was there."""
    from tandem.serving.questions.answers.asking import SelectFlags
    from tandem.serving.questions.exports.iceberg_tables import IcebergPlace, write_table
    from tandem.serving.questions.exports.rows import export_of, exported
    from tandem.serving.questions.selection.spans import TimeFlags

    if not table.isprintable():
        raise UserError("--table: a name has no control characters, and is UTF-8")
    if (warehouse is None) == (catalog is None):
        raise UserError("either --warehouse FOLDER, or --catalog NAME of pyiceberg's settings")
    folder = os.path.abspath(warehouse) if warehouse is not None and "://" not in warehouse else warehouse
    if folder is not None and "://" not in folder:
        os.makedirs(folder, exist_ok=True)
    times = TimeFlags(0, window=window, start=start, end=end, step=step)
    with existing_store(Home.of(home, store)) as views:
        compiled = compiled_named(definition, views)
        served = views.publishing.served(compiled.definition.name)
        wanted = export_of(compiled, times, SelectFlags(None, measures, None))
        stated = {"tandem.definition": compiled.version, "tandem.publication": str(served.ordinal if served else 0)}
        written = write_table(IcebergPlace(table, folder, catalog or "tandem"), wanted, exported(views, wanted), stated)
    say(f"{table}: {written:,} rows in one commit")
