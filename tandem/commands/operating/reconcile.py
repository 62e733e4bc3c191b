"""`tandem reconcile`, `tandem receipts` and `tandem drift`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tandem.named import DefinitionArgument, compiled_named, load_named, name_of
from tandem.pipelines.console.printing import console, print_json, say
from tandem.places import HomeOption, JournalOption, StoreOption, existing_store
from tandem.runners.options.places import Home

__all__ = ["drift", "receipts", "reconcile"]


def reconcile(
    context: typer.Context,
    definition: DefinitionArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done, and write nothing")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="compute every tile again, from all segments and files")] = False,
    max_piece_memory: Annotated[
        str, typer.Option(metavar="SIZE", help="memory that reading one piece of a file again may take")
    ] = "512MiB",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
) -> None:
    """Hold batch against live and the journal, and repair it, with a receipt (takes Beam's flags)."""
    from tandem.output.drift.tables import outcome_data
    from tandem.pipelines.bounded.reconcile_report import report
    from tandem.pipelines.planning.gate import with_long_timeout
    from tandem.pipelines.reconcile import check_logic, config_of
    from tandem.pipelines.reconcile import reconcile as run
    from tandem.runners.options.beam import beam_options
    from tandem.runners.options.reading import Arguments
    from tandem.runners.options.values import piece_memory
    from tandem.runners.submission.flags import arranged

    places, memory = Home.of(home, store, journal), piece_memory(max_piece_memory)
    given = {"home": home, "store": store, "journal": journal, "dry_run": dry_run, "deep": deep}
    arguments = Arguments.of("reconcile", {**given, "max_piece_memory": memory}, context.args)
    options = beam_options(with_long_timeout(arranged(arguments)))
    with existing_store(places) as views:
        chosen = load_named(definition, views)
    config = config_of(arguments, chosen)
    outcome = run(config, options)
    if as_json:
        print_json(outcome_data(outcome, dry_run, chosen.key))
    else:
        for line in report(chosen.name, outcome, dry_run=dry_run):
            say(line)
    check_logic(config, outcome)


def receipts(
    definition: DefinitionArgument,
    number: Annotated[
        int | None, typer.Argument(min=1, metavar="[NUMBER]", help="one receipt with its keys, before and after")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """List what reconciling found and repaired, newest first; or one receipt with every repaired key."""
    from tandem.output.drift.tables import print_keys, print_receipts
    from tandem.schemas.errors import UserError
    from tandem.serving.installation.drift_data import key_data, receipt_data
    from tandem.views.reconcile.receipts import receipt_keys, reconciliation_values

    with existing_store(Home.of(home, store)) as views:
        name = name_of(definition, views)
        listed = reconciliation_values(views, name, number)
        if number is not None and not listed:
            raise UserError(f"{name}: there is no receipt {number}; `tandem receipts {name}` lists them")
        keys = receipt_keys(views, number) if number is not None else []
        compiled: Any = compiled_named(definition, views) if keys else None
    if as_json:
        data: Any = [receipt_data(each) for each in listed]
        if number is not None:
            data = {**data[0], "keys": [key_data(key, compiled) for key in keys]}
        print_json(data)
    elif not listed:
        say(f"{name}: reconciling has found nothing yet")
    else:
        print_receipts(console(), listed)
        if keys:
            print_keys(console(), keys, compiled)


def drift(
    definition: DefinitionArgument,
    as_json: Annotated[bool, typer.Option("--json", help="a JSON array, one object a generation and tile")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="the same as CSV")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="write a page with the plot and the table")
    ] = None,
    live_run: Annotated[str | None, typer.Option(metavar="RUN", help="of this live run only")] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Show how far live was from batch over time, and why: one row a reconciled generation and tile."""
    from tandem.output.drift.page import drift_page
    from tandem.output.drift.tables import drift_csv, print_drift
    from tandem.schemas.errors import UserError
    from tandem.serving.installation.drift_data import point_data
    from tandem.views.reconcile.receipts import drift_points

    if as_json + as_csv + (html is not None) > 1:
        raise UserError("--json, --csv and --html exclude each other")
    with existing_store(Home.of(home, store)) as views:
        name = name_of(definition, views)
        points = drift_points(views, name, live_run)
    if as_json:
        print_json([point_data(point) for point in points])
    elif as_csv:
        typer.echo(drift_csv(points), nl=False)
    elif html is not None:
        try:
            html.write_text(drift_page(name, points), encoding="utf-8")
        except OSError as error:
            raise UserError(f"--html {html}: can't be written: {error.strerror}") from None
        say(f"{html}: {len(points):,} points")
    elif points:
        print_drift(console(), points)
    else:
        say(f"{name}: nothing was reconciled yet; `tandem reconcile {name}` does it")
