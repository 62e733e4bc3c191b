"""The demo's three alerts are what the flights say; a difference from the backtest fails it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from without_runner.alert_cases import busy, story_of
from without_runner.alert_stories import AlertStory

from examples.flights.alerts import STORY, backtested, compare_alerts, sent_states
from examples.flights.data import read_flights
from examples.flights.installation import Installation
from tandem.pipelines.backtest.history import files_decoded, history_of
from tandem.pipelines.backtest.judging import Alert, backtest, judging_alone
from tandem.schemas.definition.compiled import key_text
from tandem.schemas.errors import ParityError
from tandem.schemas.rules.compiled import compile_rules
from tandem.schemas.rules.settling import State
from tandem.schemas.time.durations import HOUR, MINUTE

BEGIN = 1_800_000_000_000_000
SINCE, UNTIL = "2013-10-01", "2013-12-07"


def hours_of_alerts(folder: Path, known_by: int, over: int) -> dict[tuple[str, str], set[int]]:
    """By rule and key the hours with alerts, of autumn's flights that were known by then, of windows over by then."""
    flights = read_flights().filter(pl.col("date").is_between(pl.lit(SINCE), pl.lit(UNTIL)))
    path = folder / f"known-{known_by}.parquet"
    flights.filter(pl.col("known_at").dt.timestamp("us") <= known_by).write_parquet(path)
    compiled = Installation(folder).compiled
    rules = compile_rules(compiled, compiled.definition.rules)
    narrow = judging_alone(compiled, rules)
    history = history_of(narrow, files_decoded(narrow, [str(path)], BEGIN), HOUR)
    found = dict[tuple[str, str], set[int]]()
    for judged in backtest(compiled, history, rules, over):
        for each in judged.alerts:
            hours = range(each.since, each.last + 1, HOUR)
            found.setdefault((judged.rule.name, each.key), set()).update(hours)
    return found


@pytest.fixture(scope="module")
def all_known(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], set[int]]:
    known = int(read_flights().get_column("known_at").dt.timestamp("us").max())  # type: ignore[arg-type]
    return hours_of_alerts(tmp_path_factory.mktemp("all"), known, known)


@pytest.mark.parametrize("alert", STORY, ids=lambda alert: alert.state.value)
def test_what_was_known_by_the_pause_and_what_is_true(
    alert: Any, all_known: dict[tuple[str, str], set[int]], tmp_path: Path
) -> None:
    place = alert.rule, key_text(Installation(tmp_path).compiled, [alert.origin, alert.carrier])
    then = hours_of_alerts(tmp_path, alert.pause, alert.hour + HOUR)
    assert (alert.hour in then.get(place, set())) is (alert.state is not State.RAISED_LATE)
    assert (alert.hour in all_known.get(place, set())) is (alert.state is not State.WITHDRAWN)
    around = {alert.hour - HOUR, alert.hour + HOUR}
    assert not around & all_known.get(place, set()), "another alert would be taken for it"


@pytest.fixture
def story(tmp_path: Path) -> AlertStory:
    """One alert that live raised and batch confirmed."""
    story = story_of(tmp_path, "{busy: {window: 1m, expr: n >= 2, to: log}}")
    busy(story, 0)
    story.watermark(2)
    story.deliver()
    story.batch(1, 2)
    story.deliver()
    return story


def installed(story: AlertStory) -> Any:
    return SimpleNamespace(store=story.store, compiled=story.compiled, name="visits")


def alerts_of(story: AlertStory) -> list[Alert]:
    (row,) = story.episodes()
    times = row.since, row.fired, row.settled_last, row.settled_resolved
    return [Alert("busy", row.key, *times, row.settled_last + MINUTE)]


def test_equal_alerts(story: AlertStory) -> None:
    (row,) = story.episodes()
    found = compare_alerts(installed(story), alerts_of(story), {row.id: {"TENTATIVE", "CONFIRMED"}})
    assert (found.equal, found.states) == (1, {"CONFIRMED": 1})


@pytest.mark.parametrize(
    ("expected", "sent", "says"),
    [
        pytest.param([], {"CONFIRMED"}, "1 settled alerts, 0 by the backtest", id="one that the backtest hasn't"),
        pytest.param([Alert("busy", "k", 0, 0, 0, 1, 1)], {"CONFIRMED"}, "differ", id="another one"),
        pytest.param(None, {"TENTATIVE"}, "have no message of their state", id="a state without a message"),
    ],
)
def test_a_difference_fails(story: AlertStory, expected: Sequence[Alert] | None, sent: set[str], says: str) -> None:
    (row,) = story.episodes()
    with pytest.raises(ParityError, match=says):
        compare_alerts(installed(story), alerts_of(story) if expected is None else expected, {row.id: sent})


def test_alerts_are_read_from_output_and_logs(tmp_path: Path) -> None:
    at = '"since": "2013-12-05T19:00:00Z", "fired": "2013-12-05T19:00:00Z", "last": "2013-12-05T20:00:00Z"'
    at += ', "until": "2013-12-05T21:00:00Z"'
    alert = f'{{"key": {{"origin": "JFK", "carrier": "9E"}}, {at}, "resolved": null}}'
    output = f'336,776 events\n[{{"rule": "delayed", "alerts": [{alert}]}}]\n'
    hour = STORY[2].hour
    times = hour, hour, hour + HOUR, None, hour + 2 * HOUR
    assert backtested(Installation(tmp_path), output) == [Alert("delayed", '["JFK","9E"]', *times)]
    log = tmp_path / "live.log"
    log.write_text(
        'flights: live\n{"id":"1","episode":"e","state":"TENTATIVE"}\n{"id":"2","episode":"e","state":"CONFIRMED"}\n'
    )
    assert sent_states([log]) == {"e": {"TENTATIVE", "CONFIRMED"}}
