"""Orders: CSV with the times of clocks in Berlin and JSON messages in UTC are one history, and rules alert of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from tandem.app import app
from tandem.formats.messages import decode_messages
from tandem.journal.broker.memory import Message, messages_of
from tandem.pipelines.backtest.history import history_of
from tandem.pipelines.backtest.judging import backtest
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.schemas.rules.compiled import compile_rules
from tandem.schemas.time.durations import MINUTE
from tandem.schemas.time.instants import instant_of

DEFINITION = Path(__file__).parents[2] / "examples/orders/orders.yaml"
BERLIN = ZoneInfo("Europe/Berlin")
UNTIL = "2026-04-11T00:00:00+02:00"


def orders() -> Iterator[tuple[datetime, str, str]]:
    """(instant, shop, price): three weeks over a change of clocks and Easter, six orders an hour from 10 to 18.

    On 1 April the shop in Bonn has thirty between 15 and 16, and the one in Ulm one an hour from 12 to 15. On holidays
    both are closed.
    """
    for day in range(21):
        date = datetime(2026, 3, 21, tzinfo=BERLIN) + timedelta(days=day)
        if (date.month, date.day) in ((4, 3), (4, 6)):
            continue
        for hour in range(10, 18):
            for shop in ("bonn", "ulm"):
                first = (date.month, date.day) == (4, 1)
                count = 30 if first and (shop, hour) == ("bonn", 15) else 6
                count = 1 if first and shop == "ulm" and 12 <= hour < 15 else count
                for n in range(count):
                    yield date.replace(hour=hour, minute=60 * n // count), shop, f"{n + 1}.50"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    rows = [
        f"{number};{at:%d.%m.%Y %H:%M:%S};{shop};{price.replace('.', ',')}"
        for number, (at, shop, price) in enumerate(orders())
    ]
    path.write_text("\n".join(["order_id;ordered_at;shop;price", *rows, ""]))
    return path


EXPECTED = {
    "rush": [('["bonn"]', "2026-04-01T15:00:00+02:00", "2026-04-01T15:00:00+02:00")],
    "quiet": [('["ulm"]', "2026-04-01T12:00:00+02:00", "2026-04-01T14:00:00+02:00")],
}


def expected() -> dict[str, list[tuple[Any, ...]]]:
    return {rule: [(key, instant_of(a), instant_of(b)) for key, a, b in found] for rule, found in EXPECTED.items()}


def test_json_messages() -> None:
    compiled = compile_definition(load(DEFINITION))
    messages = [
        Message(str(number), json.dumps({
            "order_id": str(number), "ordered_at": at.astimezone(UTC).isoformat(), "shop": shop, "price": float(price),
        }).encode(), publish_time=int(at.timestamp() * 1e6))
        for number, (at, shop, price) in enumerate(orders())
    ]  # fmt: skip
    decoded = decode_messages(compiled.definition.source, compiled.source_columns, messages_of(messages))
    assert decoded.dead == ()
    history = history_of(compiled, [decoded], 15 * MINUTE)
    found = backtest(compiled, history, compile_rules(compiled, compiled.definition.rules), instant_of(UNTIL))
    assert {each.rule.name: [(a.key, a.since, a.last) for a in each.alerts] for each in found} == expected()


def test_csv_of_local_times(csv: Path, tmp_path: Path) -> None:
    """A backfill raises what a backtest finds, though nothing was raised before."""
    run = CliRunner()
    home = ["--home", str(tmp_path / "home")]
    flags = ["--definition", str(DEFINITION), "--files", str(csv), "--complete-until", UNTIL, *home]
    done = run.invoke(app, ["backfill", *flags])
    assert done.exit_code == 0, done.output
    listed = run.invoke(app, ["alerts", "list", "orders", "--json", "--state", "RAISED_LATE", *home])
    alerts: dict[str, list[tuple[Any, ...]]] = {}
    for alert in json.loads(listed.stdout):
        key = json.dumps([alert["key"]["shop"]])
        alerts.setdefault(alert["rule"], []).append((key, instant_of(alert["since"]), instant_of(alert["until"])))
    hour = 60 * MINUTE
    assert alerts == {rule: [(k, a, b + hour) for k, a, b in found] for rule, found in expected().items()}
