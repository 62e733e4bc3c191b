"""`tandem results`: the last revisions, waiting and refused messages, and sending again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tandem.commands.delivery.options import JsonOption, KeyOption, key_text, say_fields
from tandem.named import DefinitionArgument, compiled_named, key_named, name_of
from tandem.pipelines.console.printing import console, print_json, say
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.views.results.listing import RevisionRow

__all__ = ["dead", "list_results", "retry", "send", "show"]

_Text = str | None
_From = Annotated[_Text, typer.Option("--from", metavar="TIME", help="windows that start at or after it")]
_To = Annotated[_Text, typer.Option("--to", metavar="TIME", help="windows that start before it")]


def list_results(
    definition: DefinitionArgument,
    result: Annotated[_Text, typer.Option(metavar="NAME", help="of this one only (default: all)")] = None,
    key: KeyOption = None,
    start: _From = None,
    end: _To = None,
    most: Annotated[int, typer.Option(min=1, metavar="N", help="the newest windows")] = 50,
    as_json: JsonOption = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """List the last revision of each window and key, the newest windows first, and what waits to be sent.

    A definition that has rules only has no revisions; `tandem alerts list` lists what its rules have raised.
    """
    from tandem.output.status_tables import results_text
    from tandem.serving.outcomes.result_data import revision_data
    from tandem.serving.questions.selection.instants import parse_span
    from tandem.views.results.listing import backlog, revisions
    from tandem.views.storage.database import wall_clock

    with existing_store(Home.of(home, store)) as views:
        compiled = _compiled(definition, views, rules=True)
        name = compiled.definition.name
        with views.database.read() as connection:
            rows = revisions(connection, name, result, key_named(compiled, key), parse_span(start, end), most)
            waits, now = backlog(connection, name), wall_clock()
    if as_json:
        print_json([revision_data(compiled.definition.key, row) for row in rows])
    elif rows:
        _print(compiled, rows)
    elif not compiled.definition.results:
        say(f"{name}: its definition declares rules, and no results; `tandem alerts list {name}` lists their alerts")
    else:
        say(f"{name}: nothing was sent yet")
    if not as_json and waits is not None and (waits["outbox"] or waits["dead"]):
        say(f"{name}: {results_text(waits, now).plain}", err=True)


def show(
    definition: DefinitionArgument,
    result: Annotated[str, typer.Argument(metavar="RESULT", help="its name in the definition")],
    at: Annotated[str, typer.Option(metavar="TIME", help="when the window starts")],
    key: KeyOption = None,
    as_json: JsonOption = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Show one window and key: its last revision, and the messages of it that wait in the outbox."""
    from tandem.schemas.rules.actions import shown_label
    from tandem.serving.outcomes.result_data import revision_data
    from tandem.serving.questions.selection.instants import parse_time
    from tandem.views.results.listing import revisions, waiting_messages

    start = parse_time(at, "--at")
    with existing_store(Home.of(home, store)) as views:
        compiled = _compiled(definition, views)
        name, wanted = compiled.definition.name, key_named(compiled, key) or "[]"
        with views.database.read() as connection:
            rows = revisions(connection, name, result, wanted, (start, start + 1))
            waiting = waiting_messages(connection, name, result, start, wanted)
    if not rows:
        raise UserError(f"{name}: no revision of {result} for a window that starts at {at}, key {key or wanted}")
    messages = [
        {"output": shown_label(row.output), "revision": row.revision, "state": row.state, "error": row.error}
        for row in waiting
    ]
    data = {**revision_data(compiled.definition.key, rows[0]), "outbox": messages}
    if as_json:
        print_json(data)
    else:
        say_fields(data)


def dead(
    definition: DefinitionArgument,
    as_json: JsonOption = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """List messages that an output refused for good, with its reason; `tandem results retry` sends them again."""
    from tandem.schemas.certificate import time_text
    from tandem.schemas.rules.actions import shown_label
    from tandem.views.results.listing import dead_messages

    with existing_store(Home.of(home, store)) as views:
        name = name_of(definition, views)
        with views.database.read() as connection:
            rows = dead_messages(connection, name)
    data = [{**row._mapping, "output": shown_label(row.output), "start": time_text(row.start)} for row in rows]
    if as_json:
        print_json(data)
        return
    for each in data:
        place = f"{each['result']} {each['start']} {each['key']}"
        say(f"{each['output']}: {place} revision {each['revision']}: {each['error']}")
    if not data:
        say(f"{name}: no message was refused")


def retry(
    definition: DefinitionArgument,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Let messages that were refused, and outputs that wait for their next try, be tried at once."""
    from tandem.views.outbox.messages import revive

    with existing_store(Home.of(home, store)) as views:
        name = name_of(definition, views)
        count = revive(views.database, name)
    say(f"{name}: {count:,} refused messages are tried again")


def send(
    definition: DefinitionArgument,
    start: _From = None,
    end: _To = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Let all windows of a span be looked at again, such as those of before a result or a rule was declared.

    What was sent already and is the same isn't sent again.
    """
    from tandem.serving.questions.selection.instants import EVER, parse_span
    from tandem.views.results.due.marking import mark_span
    from tandem.views.results.due.spans import served_tiles

    with existing_store(Home.of(home, store)) as views:
        compiled = _compiled(definition, views, rules=True)
        views.definitions.register(compiled)
        low, high = parse_span(start, end) or EVER
        with views.database.read() as connection:
            tiles = served_tiles(connection, views.chains, compiled, low, high)
        with views.database.write(durable=True) as connection:
            mark_span(connection, compiled.definition.name, tiles)
    say(f"{compiled.definition.name}: {len(tiles):,} tiles are due")


def _compiled(definition: str, views: Any, *, rules: bool = False) -> CompiledDefinition:
    """The definition. Raises UserError for one without results, or, where rules do as well, without either."""
    compiled = compiled_named(definition, views)
    of = compiled.definition
    if of.results or (rules and of.rules):
        return compiled
    instead = f"; `tandem alerts list {of.name}` lists the alerts of its rules" if of.rules else ""
    raise UserError(f"{of.name} has no results: its definition declares none{instead}")


def _print(compiled: CompiledDefinition, rows: list[RevisionRow]) -> None:
    from tandem.pipelines.console.tables import Column, print_table
    from tandem.serving.questions.answers.shown_times import short_time

    columns = [Column(name, keep=True) for name in ("result", "start", "key")]
    columns += [Column("revision", right=True, keep=True), Column("timing", keep=True)]
    columns += [Column("events", right=True, keep=True), Column("results", wrap=True)]
    lines = [
        (
            row.result,
            short_time(row.start, seconds=True),
            key_text(row.key),
            str(row.revision),
            row.timing,
            f"{row.events:,}",
            "withdrawn" if row.results is None else " ".join(f"{n}={v}" for n, v in row.results.items()),
        )
        for row in rows
    ]
    print_table(console(), columns, lines)
