"""Commands for versions of a definition: compare two of them, serve another one, drop one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tandem.named import is_file_name, name_of
from tandem.pipelines.console.printing import console, print_json, say
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import BehindError, UnreadMessagesError, UserError
from tandem.storage.urls import place_of

if TYPE_CHECKING:
    from tandem.schemas.definition.loading import Definition
    from tandem.views.rows import Publication
    from tandem.views.store import ViewStore

__all__ = ["diff", "drop", "promote"]

_LOOK_EVERY: Final = 0.2
"""Seconds between two attempts to promote."""

NewArgument = Annotated[
    str,
    typer.Argument(metavar="NEW", help="file of the new version, or a name: its newest version that isn't served"),
]


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="file of a version, or a name")],
    new: Annotated[
        str | None,
        typer.Argument(metavar="[NEW]", help="file of another version; without it OLD is the new one, or a name"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Compare the answers of two versions over the same events; exit code 0 if they are equal, 1 if not.

    With one argument: what is served, and the newest other version that was built, or the file's.
    """
    from tandem.output.comparison import comparison_data, print_comparison
    from tandem.schemas.definition.changes import definition_changes
    from tandem.schemas.definition.compiled import compile_definition
    from tandem.views.answers.comparing import compare

    with existing_store(Home.of(home, store)) as views:
        before, after = _two(views, old, new)
        changes = definition_changes(before, after)
        found = compare(views, compile_definition(before), compile_definition(after))
    if as_json:
        print_json(comparison_data(before, after, changes, found))
    else:
        print_comparison(console(), before, after, changes, found)
    raise typer.Exit(0 if found.equal else 1)


def promote(
    new: NewArgument,
    wait: Annotated[str, typer.Option(metavar="DURATION", help="how long to wait for live to catch up")] = "15s",
    accept_missing_files: Annotated[
        bool, typer.Option("--accept-missing-files", help="although it hasn't read all files that are served")
    ] = False,
    accept_dead_letters: Annotated[
        bool, typer.Option("--accept-dead-letters", help="although it can't read all messages that are served")
    ] = False,
    note: Annotated[str, typer.Option(metavar="TEXT", help="why; it is kept with the publication")] = "",
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Serve another version in one step; refused unless it holds all that is served now."""
    time_limit = _duration(wait)
    with existing_store(Home.of(home, store)) as views:
        name, version = _target(views, new)
        before = views.publishing.served(name)
        end = time.monotonic() + time_limit
        while True:
            try:
                done = _promote(views, name, version, note, accept_missing_files, accept_dead_letters)
                break
            except UnreadMessagesError as unread:
                _show_reasons(home, unread)
                raise
            except BehindError:
                if time.monotonic() >= end:
                    raise
            time.sleep(_LOOK_EVERY)
    back = f"; `tandem roll-back {name} {before.ordinal}` goes back to version {before.version}" if before else ""
    say(
        f"{name}: publication {done.ordinal} serves version {version}: batch run {done.batch_run or '-'}, "
        f"boundary {done.boundary}, live run {done.live_run or '-'}{back}"
    )


def drop(
    new: NewArgument,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Remove all runs of a version that isn't served; a pipeline that still writes it fails at its next write."""
    with existing_store(Home.of(home, store)) as views:
        name, version = _target(views, new)
        removed = views.publishing.drop(version)
    say(
        f"{name}: dropped version {version}: {removed.live_rows:,} live rows, {removed.batch_rows:,} batch rows, "
        f"{removed.live_runs} live runs, {removed.batch_runs} batch runs"
    )


def _show_reasons(home: str, unread: UnreadMessagesError) -> None:
    """Print why the new version can't read messages, as far as its dead letters are below this home."""
    from tandem.formats.dead_letters.reasons import reasons

    for reason in reasons(unread.version, f"{place_of(home, '--home')}/deadletters", unread.letters):
        say(str(reason), err=True)


def _promote(
    store: ViewStore, name: str, version: str, note: str, accept_missing_files: bool, accept_dead_letters: bool
) -> Publication:
    from tandem.views.batch.built import built

    found = built(store, version)
    batch, live = found.batch_run, found.live_run
    if batch is None and live is None:
        raise UserError(
            f"{name}: nothing was built of version {version}: `tandem backfill --no-publish` builds it, then "
            "`tandem live --follow` follows live"
        )
    return store.publishing.promote(
        name,
        version,
        batch.id if batch is not None else None,
        live.run if live is not None else None,
        note=note,
        accept_missing_files=accept_missing_files,
        accept_dead_letters=accept_dead_letters,
    )


def _two(store: ViewStore, old: str, new: str | None) -> tuple[Definition, Definition]:
    """The two versions to compare. Raises UserError for two names, and for one version twice."""
    if new is None:
        name = name_of(old, store)
        served = store.publishing.served(name)
        if served is None:
            raise UserError(f"{name}: nothing is served yet; name two files to compare what was built of them")
        before = _registered(store, name, served.version)
        after = _file(old) if is_file_name(old) else _registered(store, name, _newest_unserved(store, name))
    else:
        before, after = (_file(text) if is_file_name(text) else _served(store, text) for text in (old, new))
    if before.name != after.name:
        raise UserError(f"{before.name} and {after.name} are two views; versions of one name can be compared")
    if before.version == after.version:
        raise UserError(f"{before.name}: both are version {before.version}; there is nothing to compare")
    return before, after


def _file(path: str) -> Definition:
    from tandem.schemas.definition.loading import load

    return load(Path(path))


def _served(store: ViewStore, name: str) -> Definition:
    served = store.publishing.served(name_of(name, store))
    if served is None:
        raise UserError(f"{name}: nothing is served yet; name a file")
    return _registered(store, name, served.version)


def _registered(store: ViewStore, name: str, version: str) -> Definition:
    from tandem.schemas.definition.loading import loads

    text = store.definitions.text(version)
    return loads(text, file=f"version {version} as registered").model_copy(update={"name": name})


def _target(store: ViewStore, argument: str) -> tuple[str, str]:
    """(name, version) of a file, or of a name's newest version that isn't served."""
    if is_file_name(argument):
        definition = _file(argument)
        return definition.name, definition.version
    name = name_of(argument, store)
    return name, _newest_unserved(store, name)


def _newest_unserved(store: ViewStore, name: str) -> str:
    from tandem.views.batch.built import built, versions_of

    served = store.publishing.served(name)
    for version in versions_of(store, name):
        found = built(store, version)
        if (served is None or version != served.version) and (found.batch_run or found.live_run):
            return version
    raise UserError(f"{name}: no other version was built; `tandem backfill --no-publish` builds one")


def _duration(text: str) -> float:
    """A duration in seconds."""
    from tandem.schemas.time.durations import parse_duration

    try:
        return parse_duration(text) / 1e6
    except ValueError as error:
        raise UserError(f"--wait: {error}") from None
