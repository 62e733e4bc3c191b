"""Commands for what is served: status, publications, rolling back, pruning; grants and migration of a store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.named import DefinitionArgument, name_of
from tandem.pipelines.console.printing import console, print_json, say
from tandem.places import HomeOption, JournalOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.storage.urls import is_url

if TYPE_CHECKING:
    from tandem.views.layers.removing import Swept
    from tandem.views.store import ViewStore

__all__ = ["grant", "migrate", "prune", "publications", "roll_back", "status"]


def status(
    definition: DefinitionArgument,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
) -> None:
    """Show what is served, the runs, every generation's conservation, and who holds up a seal."""
    from tandem.commands.operating.private import exposed
    from tandem.journal.storage.opening import journal_exists, open_blobs
    from tandem.output.status_tables import print_status
    from tandem.serving.installation.journal_state import read_state
    from tandem.serving.installation.status_data import status_data
    from tandem.views.report import status_report

    places = Home.of(home, store, journal)
    with existing_store(places) as views:
        report = status_report(views, name_of(definition, views))
    state = read_state(open_blobs(places.journal)) if journal_exists(places.journal) else None
    now = time.time_ns() // 1000
    reachable = exposed(home, places)
    if as_json:
        print_json({**status_data(report, state, now), "exposed": reachable})
    else:
        print_status(console(), report, state, now)
        for line in reachable:
            say(f"  {line}")


def publications(
    definition: DefinitionArgument,
    as_json: Annotated[bool, typer.Option("--json", help="a JSON array of objects")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """List what was served under a name, newest first."""
    from tandem.output.status_tables import print_publications
    from tandem.serving.installation.status_data import publication_data

    with existing_store(Home.of(home, store)) as views:
        name = name_of(definition, views)
        served, listed = views.publishing.served(name), views.publishing.publications(name)
    current = served.ordinal if served is not None else 0
    if as_json:
        data = [publication_data(publication, current) for publication in listed]
        print_json(data)
    elif listed:
        print_publications(console(), listed, current)
    else:
        say(f"{name}: nothing was published yet")


def roll_back(
    definition: DefinitionArgument,
    publication: Annotated[
        int, typer.Argument(min=1, metavar="PUBLICATION", help="its number, as `tandem publications` shows it")
    ],
    live_run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="serve it with this live run (default: the one served now)"),
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="why; it is kept with the publication")] = "",
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Serve the batch run of an older publication again; refused where an answer would lose events."""
    with existing_store(Home.of(home, store)) as views:
        name = name_of(definition, views)
        done = views.publishing.roll_back(name, publication, live_run=live_run, note=note)
    say(
        f"{name}: publication {done.ordinal} serves what publication {publication} did: "
        f"batch run {done.batch_run or '-'}, boundary {done.boundary}, live run {done.live_run or '-'}"
    )


def prune(
    definition: DefinitionArgument,
    keep: Annotated[int, typer.Option(min=1, help="batch runs to keep, the served one among them")] = 2,
    results_before: Annotated[
        str | None,
        typer.Option(metavar="TIME|AGE", help="close windows of results that ended before it, such as 90d ago"),
    ] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
) -> None:
    """Remove what the newest publications don't need; older ones can't be rolled back to after that.

    And Flink's checkpoints and savepoints of runs that can't be resumed any more.
    """
    places = Home.of(home, store, journal)
    with existing_store(places) as views:
        name = name_of(definition, views)
        closed = _close_results(views, name, results_before) if results_before is not None else None
        removed = views.publishing.prune(name, keep)
    if closed is not None:
        say(f"{name}: removed the last revisions of {closed:,} windows and keys, which are closed now")
    say(
        f"{name}: removed {removed.live_rows:,} live rows, {removed.batch_rows:,} batch rows, "
        f"{removed.live_runs} live runs, {removed.batch_runs} batch runs"
    )
    _say_swept(name, removed.files)
    if not is_url(places.journal) and Path(places.journal).is_dir():
        _prune_states(places.journal)


def _say_swept(name: str, swept: Swept) -> None:
    if swept.files:
        say(f"{name}: removed {swept.files:,} unneeded files of batch states, {swept.size:,} bytes")
    for folder in swept.unknown:
        say(f"{folder} is of a batch run that this store doesn't know; it stays")


def _close_results(views: ViewStore, name: str, before: str) -> int:
    from tandem.schemas.time.durations import parse_duration
    from tandem.serving.questions.selection.instants import parse_time
    from tandem.views.results.revisions.closing import close_windows

    try:
        until = int(time.time() * 1e6) - parse_duration(before)
    except ValueError:
        until = parse_time(before, "--results-before")
    return close_windows(views.database, name, until)


def _prune_states(journal: str) -> None:
    from tandem.journal.storage.opening import open_blobs
    from tandem.runners.flink.runner_states import remove_unneeded

    removed = remove_unneeded(open_blobs(journal), journal, time.time())
    if removed.folders:
        say(
            f"Flink: removed {removed.folders} folders of checkpoints and savepoints that no run can go on from, "
            f"{removed.size:,} bytes"
        )


def grant(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="serve, live, backfill, reconcile or operator")],
    user: Annotated[str, typer.Argument(metavar="USER", help="a user of the PostgreSQL server")],
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Give a user of a PostgreSQL store what a role needs and nothing else; asked by the owner of the store."""
    from contextlib import closing

    from tandem.views.storage.access.grants import check_users
    from tandem.views.storage.access.grants import grant as give
    from tandem.views.store import ViewStore

    places = Home.of(home, store)
    check_users(places.store)
    with closing(ViewStore(places.store)) as views:
        made = give(views.database, role, user)
    say(f"{user} may {'read' if role == 'serve' else 'read and write'} as {role}: {len(made)} statements")


def migrate(home: HomeOption = "tandem-data", store: StoreOption = None) -> None:
    """Bring a view store of an older version to this one, in one transaction; nothing may run on it meanwhile."""
    from tandem.views.storage.migrating import migrate as bring_over

    done = bring_over(Home.of(home, store).store)
    if done.before == done.after and not done.made:
        say(f"view store {done.where}: has schema version {done.after} already")
        return
    say(
        f"view store {done.where}: schema version {done.before} is {done.after} now, with tables {', '.join(done.made)}"
    )
    if done.of_server:
        say("users of a PostgreSQL store get their rights on them by `tandem store grant`, each as before")
