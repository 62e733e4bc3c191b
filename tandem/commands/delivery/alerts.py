"""`tandem alerts`: firing and past alerts, their decisions and acknowledgements, and the quality of rules."""

from __future__ import annotations

import getpass
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tandem.commands.delivery.options import JsonOption, KeyOption, key_text, say_fields
from tandem.named import DefinitionArgument, compiled_named, key_named, name_of
from tandem.pipelines.console.printing import console, print_json, say
from tandem.places import HomeOption, JournalOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.views.store import ViewStore

__all__ = ["ack", "list_alerts", "report", "show", "silence"]

_Text = str | None
_Alert = Annotated[str, typer.Argument(metavar="ALERT", help="its id, or the beginning of it")]
_Rule = Annotated[_Text, typer.Option(metavar="NAME", help="of this rule only (default: all)")]
_By = Annotated[_Text, typer.Option("--by", metavar="WHO", help="who says so (default: the user's name)")]


def list_alerts(
    definition: DefinitionArgument,
    rule: _Rule = None,
    key: KeyOption = None,
    state: Annotated[list[str] | None, typer.Option(metavar="STATE", help="in this state; repeatable")] = None,
    firing: Annotated[bool, typer.Option("--firing", help="only what goes on")] = False,
    start: Annotated[_Text, typer.Option("--from", metavar="TIME", help="that began at or after it")] = None,
    end: Annotated[_Text, typer.Option("--to", metavar="TIME", help="that began before it")] = None,
    most: Annotated[int, typer.Option(min=1, metavar="N", help="the last ones")] = 50,
    as_json: JsonOption = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """List alerts, those that began last first."""
    from tandem.serving.outcomes.alert_data import alert_data, known_states
    from tandem.serving.questions.selection.instants import parse_span
    from tandem.views.decisions.listing import alerts

    states = known_states(state or ())
    with existing_store(Home.of(home, store)) as views:
        compiled = compiled_named(definition, views)
        of_key, span = key_named(compiled, key), parse_span(start, end)
        with views.database.read() as connection:
            rows = alerts(
                connection, compiled.definition.name,
                rule=rule, key=of_key, states=states, firing=firing, span=span, most=most,
            )  # fmt: skip
    if as_json:
        print_json([alert_data(compiled.definition.key, row) for row in rows])
    elif rows:
        _print(compiled, rows)
    else:
        say(f"{compiled.definition.name}: no alerts")


def show(
    definition: DefinitionArgument,
    alert: _Alert,
    messages: Annotated[int, typer.Option(min=0, metavar="N", help="so many raw messages behind it")] = 0,
    as_json: JsonOption = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
) -> None:
    """Show one alert: each of its states and what decided it, down to the messages that were counted."""
    from tandem.serving.outcomes.alert_data import alert_data, found_alert
    from tandem.views.decisions.listing import receipts_of

    places = Home.of(home, store, journal)
    with existing_store(places) as views:
        compiled = compiled_named(definition, views)
        row = found_alert(views, compiled.definition.name, alert)
        with views.database.read() as connection:
            receipts = receipts_of(connection, row.id)
        data: dict[str, Any] = {**alert_data(compiled.definition.key, row), "states": receipts}
        if messages:
            data["messages"] = _messages(views, compiled, places.journal, row, messages)
    if as_json:
        print_json(data)
        return
    say_fields(data, without=("states", "messages"))
    for receipt in receipts:
        say(f"  state {receipt['revision']}, decided at {receipt['decided_at']}, publication {receipt['publication']}:")
        say(f"    window {receipt['window']['start']} to {receipt['window']['end']}, {receipt['events']:,} events, "
            f"{receipt['live_events']:,} of them from live; batch run {receipt['batch_run']}")  # fmt: skip
        say(f"    {_values(receipt['values'])}; {_values(receipt['baseline']) or 'no baseline'}")
        if receipt["compared"]:
            say(f"    compared with the windows at {', '.join(receipt['compared'])}")
        if "kept_back" in receipt:
            say(f"    not sent: {receipt['kept_back']}")
    for message in data.get("messages", []):
        say(f"  {message['position']}  {message['event_time']}  {message['fate']}  {message['payload']}")


def ack(
    definition: DefinitionArgument,
    alert: _Alert,
    note: Annotated[str, typer.Option(metavar="TEXT", help="what is known of it")] = "",
    by: _By = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Note that somebody has seen an alert; verdicts and what is sent stay as they are."""
    from tandem.serving.outcomes.alert_data import found_alert
    from tandem.views.decisions.handling import acknowledge

    with existing_store(Home.of(home, store)) as views:
        name = name_of(definition, views)
        row = found_alert(views, name, alert)
        acknowledge(views, name, row.id, by or getpass.getuser(), note, _now())
    say(f"{name}: alert {row.id} is acknowledged by {by or getpass.getuser()}")


def silence(
    definition: DefinitionArgument,
    rule: _Rule = None,
    key: KeyOption = None,
    last: Annotated[_Text, typer.Option("--for", metavar="DURATION", help="how long, from now on")] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="why")] = "",
    by: _By = None,
    end: Annotated[int | None, typer.Option("--end", metavar="N", help="end this silence")] = None,
    list_all: Annotated[bool, typer.Option("--list", help="list the silences there are")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Send nothing of a rule or key for a while. Alerts are decided on and kept all the same."""
    from tandem.serving.outcomes.alert_data import silence_until
    from tandem.views.decisions import handling

    if (last is not None) + (end is not None) + list_all != 1:
        raise UserError("give one of --for DURATION, --end N, --list")
    with existing_store(Home.of(home, store)) as views:
        compiled = compiled_named(definition, views)
        name, now = compiled.definition.name, _now()
        if list_all:
            _print_silences(views, name, now)
        elif end is not None:
            handling.end_silence(views, name, end, now)
            say(f"{name}: silence {end} has ended")
        else:
            until = silence_until(compiled, rule, last or "", now)
            of_key = key_named(compiled, key) or ""
            made = handling.silence(
                views, name, now, until, rule=rule or "", key=of_key, by=by or getpass.getuser(), note=note
            )
            say(f"{name}: silence {made} until {_time(until)}")


def report(
    definition: DefinitionArgument,
    as_json: JsonOption = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Say how well each rule does, by what batch has said of its alerts."""
    from tandem.serving.outcomes.alert_data import report_data
    from tandem.views.decisions.listing import rule_reports

    with existing_store(Home.of(home, store)) as views:
        name = name_of(definition, views)
        with views.database.read() as connection:
            found = rule_reports(connection, name)
    data = [report_data(each) for each in found]
    if as_json:
        print_json(data)
    elif data:
        _print_report(data)
    else:
        say(f"{name}: no alerts")


def _messages(views: ViewStore, compiled: CompiledDefinition, journal: str, row: Any, most: int) -> list[Any]:
    from tandem.serving.questions.explanations.messages import Wanted, messages_of

    wanted = Wanted(row.key, row.since, row.until, most, 1 << 30)
    return list(messages_of(views, compiled, journal, wanted).messages)


def _now() -> int:
    return time.time_ns() // 1000


def _time(at: int) -> str:
    from tandem.schemas.certificate import time_text

    return time_text(at)


def _print(compiled: CompiledDefinition, rows: list[Any]) -> None:
    from tandem.pipelines.console.tables import Column, print_table
    from tandem.serving.outcomes.alert_data import alert_status
    from tandem.serving.questions.answers.shown_times import short_time

    names = ("alert", "rule", "key", "state", "status", "since", "until")
    columns = [Column(name, keep=True) for name in names] + [Column("acknowledged by")]
    lines = [
        (
            *(row.id[:8], row.rule, key_text(row.key), row.state, alert_status(row)),
            *(short_time(row.since, seconds=True), short_time(row.until, seconds=True), row.acknowledged_by),
        )
        for row in rows
    ]
    print_table(console(), columns, lines)


def _print_silences(views: ViewStore, name: str, now: int) -> None:
    from tandem.views.decisions.listing import silences

    with views.database.read() as connection:
        rows = silences(connection, name, now)
    for row in rows:
        what = f"rule {row.rule or 'any'}, key {row.key or 'any'}"
        say(f"{row.ordinal}: {what}, until {_time(row.ends_at)}, by {row.by}{': ' if row.note else ''}{row.note}")
    if not rows:
        say(f"{name}: nothing is silenced")


def _print_report(data: list[dict[str, Any]]) -> None:
    from tandem.pipelines.console.tables import Column, print_table
    from tandem.serving.outcomes.alert_data import STATES

    columns = [Column("rule", keep=True)] + [Column(state.lower(), right=True) for state in STATES]
    columns += [Column(name, right=True, keep=True) for name in ("precision", "missed", "seconds to tell")]
    rows = []
    for each in data:
        shares = ["-" if each[name] is None else f"{each[name]:.1%}" for name in ("precision", "missed")]
        wait = "-" if each["seconds_to_tell"] is None else f"{each['seconds_to_tell']:,.1f}"
        rows.append([each["rule"], *(f"{each[state.lower()]:,}" for state in STATES), *shares, wait])
    print_table(console(), columns, rows)


def _values(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
