"""A backtest against SQL: DuckDB computes windows, baselines and verdicts anew, from the same events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from tandem.formats.messages import decode_messages
from tandem.formats.writing import encode_messages
from tandem.pipelines.backtest.history import Amount, History, history_of
from tandem.pipelines.backtest.judging import Judged, backtest, unit_of
from tandem.pipelines.backtest.running import swept
from tandem.pipelines.backtest.scoring import Label, by_day, by_key, read_labels, score_of
from tandem.pipelines.backtest.settings import parse_setting, parse_sweep, with_settings
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.errors import UserError
from tandem.schemas.messages import MESSAGE_SCHEMA, Decoded
from tandem.schemas.rules.automaton import Verdict
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.rules.models import Rule
from tandem.schemas.time.durations import DAY, HOUR

TEXT = """
name: sales
source:
  schema: {type: record, name: Sale, fields: [
    {name: id, type: long}, {name: at, type: {type: long, logicalType: timestamp-micros}},
    {name: shop, type: string}, {name: amount, type: long}]}
  format: json
  event_id: id
  event_time: at
  max_ahead: null
key: shop
tile: 1h
measures: {n: count, amount: {sum: amount}, mean: {mean: amount}}
derive_results: {each: amount / n}
"""
BEGIN = 1_767_225_600 * 1_000_000
"""2026-01-01T00:00:00Z."""
DAYS = 40


@pytest.fixture(scope="module")
def compiled() -> CompiledDefinition:
    return compile_definition(loads(TEXT))


@pytest.fixture(scope="module")
def events() -> pa.Table:
    """Forty days of four shops, of which one opens late, one is closed at night, and one sells ten times as much for a
    day."""
    random, count = np.random.default_rng(11), 12_000
    times = BEGIN + random.integers(0, DAYS * DAY, count)
    shops = random.integers(0, 4, count)
    amounts = random.integers(1, 20, count)
    amounts[(shops == 0) & (times // DAY == (BEGIN + 30 * DAY) // DAY)] *= 10
    kept = ~((shops == 1) & (times < BEGIN + 20 * DAY)) & ~((shops == 2) & (times % DAY < 6 * HOUR))
    table = pa.table({"id": np.arange(count), "at": pa.array(times).cast(pa.timestamp("us", "UTC")),
                      "shop": [f"s{shop}" for shop in shops], "amount": amounts})  # fmt: skip
    return table.filter(pa.array(kept))


def decoded(compiled: CompiledDefinition, events: pa.Table) -> Iterator[Decoded]:
    """In messages of some hundreds, of which some come twice."""
    source = compiled.definition.source
    payloads = encode_messages(source, events)
    for at in range(0, len(payloads), 3_000):
        data = [*payloads[at : at + 3_000], *payloads[at : at + 20], b"{"]
        columns: dict[str, Any] = {
            "message_id": [str(n) for n in range(len(data))],
            "publish_time": [BEGIN] * len(data),
            "attributes": [[]] * len(data),
            "data": data,
        }
        arrays = [pa.array(columns[field.name], field.type) for field in MESSAGE_SCHEMA]
        batch = pa.RecordBatch.from_arrays(arrays, schema=MESSAGE_SCHEMA)
        yield decode_messages(source, compiled.source_columns, batch)


@pytest.fixture(scope="module", params=[1 << 19, 100], ids=["one block", "blocks of keys"])
def history(request: pytest.FixtureRequest, compiled: CompiledDefinition, events: pa.Table) -> Iterator[History]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tandem.pipelines.backtest.history._ROWS", request.param)
        made = history_of(compiled, decoded(compiled, events), HOUR)
        assert (len(made.blocks) > 1) is (request.param == 100)
        yield made


def rules_of(compiled: CompiledDefinition, **rules: dict[str, Any]) -> tuple[CompiledRule, ...]:
    return compile_rules(compiled, {name: Rule.model_validate(rule) for name, rule in rules.items()})


def test_the_amount_that_is_judged(history: History, events: pa.Table) -> None:
    amount = history.amount
    assert (amount.counted, amount.copies, amount.dead) == (events.num_rows, 20 * 4, 4)
    assert amount.received == amount.counted + amount.filtered + amount.copies + amount.dead


def test_against_sql(compiled: CompiledDefinition, history: History, events: pa.Table) -> None:
    """Median and deviation of the same hour of the seven days before, at least four of them."""
    rule = {
        "window": "1h",
        "expr": "amount > baseline.amount + 2 * baseline.amount.spread",
        "baseline": {"season": "hour_of_day", "periods": 7, "min_periods": 4, "min_spread": 1},
        "for": "1h",
    }
    (found,) = backtest(compiled, history, rules_of(compiled, r=rule), BEGIN + DAYS * DAY)
    assert found.verdicts[Verdict.ACTIVE] == len(_active(events))
    assert [(alert.key, alert.since, alert.last) for alert in found.alerts] == _islands(events)
    assert len(found.alerts) > 5


_SQL = """
with hours as (select shop, epoch_us(date_trunc('hour', "at")) as start, sum(amount) as amount from events
  group by all),
near as (select h.shop, h.start, h.amount, p.amount as before from hours h join hours p
  on p.shop = h.shop and p.start < h.start and (h.start - p.start) % 86400000000 = 0
  and h.start - p.start <= 7 * 86400000000),
middle as (select shop, start, amount, median(before) as middle, count(*) as periods from near group by all),
spread as (select m.shop, m.start, m.amount, m.middle, m.periods,
  greatest(1, 1.4826 * median(abs(n.before - m.middle))) as spread
  from middle m join near n using (shop, start) group by all)
select shop, start from spread where periods >= 4 and amount > middle + 2 * spread order by shop, start
"""


def _active(events: pa.Table) -> list[tuple[str, int]]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("events", events)
        return [(f'["{shop}"]', int(start)) for shop, start in connection.execute(_SQL).fetchall()]


def _islands(events: pa.Table) -> list[tuple[str, int, int]]:
    """(key, first, last) of two hours or more in a row."""
    found: list[list[Any]] = []
    for key, start in _active(events):
        if found and found[-1][0] == key and found[-1][2] == start - HOUR:
            found[-1][2] = start
        else:
            found.append([key, start, start])
    return [(key, first, last) for key, first, last in found if last > first]


def test_windows_of_all_kinds_at_once(compiled: CompiledDefinition, history: History, events: pa.Table) -> None:
    rules = rules_of(
        compiled,
        hours={"window": "1h", "expr": "each > 100"},
        days={"window": "1d", "expr": "amount > 3 * baseline.amount", "baseline": {"season": "none", "periods": 5}},
        sliding={"window": {"size": "24h", "every": "12h"}, "expr": "mean > 40", "no_data": "keep"},
        berlin={"window": {"calendar": "day", "zone": "Europe/Berlin"}, "expr": "amount > 3000"},
    )
    assert unit_of(compiled.definition.tile, rules) == HOUR
    found = {each.rule.name: each for each in backtest(compiled, history, rules, BEGIN + DAYS * DAY)}
    day = BEGIN + 30 * DAY
    assert [(a.key, a.since, a.resolved) for a in found["days"].alerts] == [('["s0"]', day, day + DAY)]
    assert [(a.key, a.since, a.last) for a in found["sliding"].alerts] == [('["s0"]', day - DAY // 2, day + DAY // 2)]
    assert [(a.since, a.until) for a in found["berlin"].alerts] == [(day - HOUR, day + DAY - HOUR)]
    assert found["hours"].alerts[0].since >= day
    assert found["sliding"].windows == 2 * DAYS


def test_a_window_that_isnt_over_isnt_judged(compiled: CompiledDefinition, history: History) -> None:
    (rule,) = rules_of(compiled, r={"window": "1d", "expr": "n > 0"})
    (found,) = backtest(compiled, history, [rule], BEGIN + 3 * DAY - 1)
    assert found.windows == 2
    assert found.verdicts[Verdict.ACTIVE] + found.verdicts[Verdict.NO_DATA] == 2 * 4


def test_a_rule_begins_where_it_says(compiled: CompiledDefinition, history: History) -> None:
    (rule,) = rules_of(compiled, r={"window": "1d", "expr": "n > 0", "from": "2026-01-11"})
    (found,) = backtest(compiled, history, [rule], BEGIN + 20 * DAY)
    assert {alert.since for alert in found.alerts} == {BEGIN + 10 * DAY}


@pytest.mark.parametrize(
    ("least", "active"), [pytest.param(1, True, id="any"), pytest.param(10_000, False, id="too-few")]
)
def test_minimum_support(compiled: CompiledDefinition, history: History, least: int, active: bool) -> None:
    (rule,) = rules_of(compiled, r={"window": "1d", "expr": "n > 0", "min_events": least})
    (found,) = backtest(compiled, history, [rule], BEGIN + DAYS * DAY)
    assert bool(found.alerts) is active


def test_few_keys_at_a_time_are_all_keys_at_once(
    compiled: CompiledDefinition, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = rules_of(compiled, r={"window": "1h", "expr": "amount > baseline.amount.high"})
    (together,) = backtest(compiled, history, rules, BEGIN + DAYS * DAY)
    monkeypatch.setattr("tandem.views.grids.results._CELLS", 1)
    (apart,) = backtest(compiled, history, rules, BEGIN + DAYS * DAY)
    assert together.alerts == apart.alerts
    assert together.alerts


def judged(compiled: CompiledDefinition, history: History) -> Judged:
    (found,) = backtest(
        compiled, history, rules_of(compiled, r={"window": "1d", "expr": "mean > 40"}), BEGIN + 40 * DAY
    )
    return found


def test_days_and_keys(compiled: CompiledDefinition, history: History) -> None:
    found = judged(compiled, history)
    assert (by_day(found), by_key(found)) == ({BEGIN + 30 * DAY: 1}, {'["s0"]': 1})


@pytest.mark.parametrize(
    ("labels", "precision", "recall"),
    [
        pytest.param([(30, 31, '["s0"]')], 1.0, 1.0, id="found"),
        pytest.param([(30, 31, None), (5, 6, None)], 1.0, 0.5, id="of-any-key-and-one-missed"),
        pytest.param([(30, 31, '["s1"]')], 0.0, 0.0, id="of-another-key"),
        pytest.param([(31, 32, '["s0"]')], 0.0, 0.0, id="right-after"),
    ],
)
def test_scores(
    compiled: CompiledDefinition, history: History, labels: list[Any], precision: float, recall: float
) -> None:
    known = [Label(BEGIN + start * DAY, BEGIN + end * DAY, key) for start, end, key in labels]
    score = score_of("r", judged(compiled, history).alerts, known)
    assert (score.precision, score.recall) == (precision, recall)


def test_labels_are_read(compiled: CompiledDefinition, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("start,end,shop\n2026-01-01,2026-01-02,s1\n2026-01-03,2026-01-04,\n")
    (tmp_path / "a.jsonl").write_text('{"start": "2026-01-01", "end": "2026-01-02", "rule": "r"}\n')
    assert read_labels(str(tmp_path / "a.csv"), compiled) == [
        Label(BEGIN, BEGIN + DAY, '["s1"]'),
        Label(BEGIN + 2 * DAY, BEGIN + 3 * DAY),
    ]
    assert read_labels(str(tmp_path / "a.jsonl"), compiled) == [Label(BEGIN, BEGIN + DAY, None, "r")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("start,end,store\n", None, id="no-rows"),
        pytest.param("start,end,store\n2026-01-01,2026-01-02,s\n", "unknown column 'store'", id="unknown-column"),
        pytest.param("start,end\n2026-01-02,2026-01-01\n", "row 1: it ends before it starts", id="backwards"),
        pytest.param("start,end\nnow,2026-01-01\n", "row 1: 'now' is not a time", id="no-time"),
    ],
)
def test_labels_that_are_none(compiled: CompiledDefinition, tmp_path: Path, text: str, message: str | None) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    if message is None:
        assert read_labels(str(path), compiled) == []
        return
    with pytest.raises(UserError, match=message):
        read_labels(str(path), compiled)


def test_settings_and_sweeps(compiled: CompiledDefinition, history: History) -> None:
    rules = rules_of(compiled, r={"window": "1d", "expr": "mean > params.least", "params": {"least": 40}})
    (changed,) = with_settings(compiled, rules, [parse_setting("least=5"), parse_setting("for=1d")])
    assert (changed.rule.params, changed.rule.for_, changed.name) == ({"least": 5.0}, DAY, "r")
    found = swept(compiled, history, rules, parse_sweep("least=0:100:3"), BEGIN + DAYS * DAY, [Label(0, 2**60)])
    assert [(each.value, each.alerts) for each in found] == [(0.0, 4), (50.0, 1), (100.0, 1)]
    assert [each.score.recall for each in found if each.score is not None] == [1.0, 1.0, 1.0]
    with pytest.raises(UserError, match="no rule has 'leats'; did you mean 'least'"):
        with_settings(compiled, rules, [parse_setting("leats=5")])
    with pytest.raises(UserError, match=r"--set baseline\.periods"):
        with_settings(compiled, rules, [parse_setting("baseline.periods=0")])
    for wrong in (
        "least=5:1",
        "least=1:2:1",
        "least",
        "least=1",
        "a=1:2:3:4",
        "least=0:inf",
        "least=nan:1",
        "=1:2",
        "min_events=1:two",
    ):
        with pytest.raises(UserError, match="--sweep"):
            parse_sweep(wrong)
    for wrong in ("for=1h:3h:3", "for=1:3", "least=10s:20s"):
        with pytest.raises(UserError, match=r"only numbers can be swept, .* tries one duration"):
            parse_sweep(wrong)


def test_nothing_to_judge(compiled: CompiledDefinition) -> None:
    empty = history_of(compiled, [], HOUR)
    assert empty.amount == Amount()
    (found,) = backtest(compiled, empty, rules_of(compiled, r={"window": "1d", "expr": "n > 0"}), BEGIN)
    assert (found.windows, found.alerts) == (0, [])
