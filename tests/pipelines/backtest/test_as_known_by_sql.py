"""Rules by what was known then against one SQL statement over the journal's messages and the store's publications."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
import yaml
from without_runner.result_stories import BEGIN, Event, Story, definition_of

from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.clocks import ManualClock
from tandem.journal.index import JournalIndex
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.reading import read_segment
from tandem.journal.runs.generations import next_generation
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.pipelines.backtest.as_known import as_known, boundaries_of, lateness_of
from tandem.pipelines.backtest.history import history_of, journal_decoded
from tandem.pipelines.backtest.judging import Judged, backtest
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.rules.models import Rule
from tandem.schemas.time.durations import MINUTE, SECOND

STEPS = 90
GENERATION_STEPS = 10

SQL = """
WITH placed AS (
  SELECT *, row_number() OVER (ORDER BY generation, written, lane, number) AS place FROM segments
), least AS (
  SELECT p.place, any_value(p.written) AS written,
         CASE WHEN count(*) = count(l.watermark) THEN min(l.watermark) END AS reached
  FROM placed p JOIN placed l ON l.place <= p.place
  WHERE NOT EXISTS (SELECT 1 FROM placed n WHERE n.lane = l.lane AND n.place > l.place AND n.place <= p.place)
  GROUP BY p.place
), highest AS (
  SELECT place, written, max(reached) OVER (ORDER BY place) AS reached FROM least
), events AS (
  SELECT id, any_value(m.happened) AS happened, any_value(m.shopper) AS shopper, min(p.place) AS place,
         arg_min(p.generation, p.place) AS generation
  FROM messages m JOIN placed p USING (lane, number) GROUP BY id
), ends AS (
  SELECT unnest(range($first, (SELECT max(reached) FROM highest) + 1, $every)) AS ended
), windows AS (
  SELECT ended - $size AS begun, ended, min(h.place) AS cut, arg_min(h.written, h.place) AS judged_at
  FROM ends JOIN highest h ON h.reached >= ended GROUP BY ended
), served AS (
  SELECT w.*, CASE WHEN $as_known THEN coalesce((
      SELECT arg_max(boundary, ordinal) FROM publications WHERE published_at <= judged_at), 0) ELSE 9999 END AS boundary
  FROM windows w
), cells AS (
  SELECT w.begun, w.ended, w.boundary, s.shopper,
         (SELECT count(*) FROM events e WHERE e.shopper = s.shopper AND e.happened >= w.begun AND e.happened < w.ended
            AND (NOT $as_known OR e.place < w.cut)) AS n
  FROM served w, (SELECT DISTINCT shopper FROM events) s
), before AS (
  SELECT c.*, back.k, (SELECT count(*) FROM events e WHERE e.shopper = c.shopper AND e.generation <= c.boundary
            AND e.happened >= c.begun - $size - k * $every AND e.happened < c.begun - k * $every) AS then_n
  FROM cells c, (SELECT unnest([0, 1]) AS k) back
), verdicts AS (
  SELECT shopper, begun, any_value(n) > 0 AND any_value(n) > coalesce(median(then_n) FILTER (then_n > 0), 1) AS holds
  FROM before GROUP BY shopper, begun
), runs AS (
  SELECT shopper, begun, begun // $every - row_number() OVER (PARTITION BY shopper ORDER BY begun) AS run
  FROM verdicts WHERE holds
)
SELECT '["' || shopper || '"]', min(begun), max(begun) FROM runs GROUP BY shopper, run ORDER BY 1, 2
"""


def journal_of(compiled: CompiledDefinition, folder: Path, choose: Random, clock: ManualClock) -> None:
    """Two lanes, one of which falls behind; copies, and events that come minutes late; a generation each ten steps."""
    blobs, source, newest = LocalBlobs(str(folder)), compiled.definition.source.version, dict[int, int | None]()
    run = start_run(blobs, clock, lanes=2, subscription="s", sources=[source], take_over=True)
    lanes = [LaneWriter(blobs, run, lane, f"w{lane}", clock, number=0, generation=1) for lane in (0, 1)]
    for writer in lanes:
        writer.open({source: None})
    for step in range(STEPS):
        clock.sleep(SECOND)
        lane = choose.choice([0, 0, 1])
        ats = [BEGIN + int((step / 3 + choose.choice([0, 0, 0, -1, -4]) + choose.random()) * MINUTE) for _ in range(3)]
        events = [{"id": f"{at % 977}", "at": at, "user": choose.choice(["ann", "bob"]), "amount": 1} for at in ats]
        events += events[: choose.choice([0, 0, 1])]
        messages = [
            Message(f"{step}-{n}", json.dumps(event).encode(), publish_time=clock.wall())
            for n, event in enumerate(events)
        ]
        lanes[lane].append(messages_of(messages), {source: newest.get(lane)})
        newest[lane] = max(max(ats) - MINUTE, newest.get(lane) or 0)
        if step % GENERATION_STEPS == GENERATION_STEPS - 1:
            generation = 1 + step // GENERATION_STEPS
            next_generation(blobs, clock, generation, "test")
            for each, writer in enumerate(lanes):
                writer.seal(generation, {source: newest.get(each)})


def published(folder: Path, compiled: CompiledDefinition, choose: Random, begun: int) -> list[tuple[int, int, int]]:
    """(ordinal, wall clock, boundary) of what was served, one after the other, some by going back."""
    story = Story(folder / "views.db", compiled)
    story.serve()
    story.live(Event(0.5))
    for boundary in range(1, STEPS // GENERATION_STEPS):
        story.now = begun + (boundary * GENERATION_STEPS + choose.randint(1, 9)) * SECOND
        if boundary % 2 or boundary == 2:
            story.batch(boundary, 0)
        else:
            known = story.store.publishing.publications("visits")
            story.store.publishing.roll_back("visits", choose.choice(known).ordinal, accept_late=True)
    rows = [(p.ordinal, p.published_at, p.boundary) for p in story.store.publishing.publications("visits")]
    story.store.close()
    return rows


TABLES = """
CREATE TABLE segments (generation BIGINT, written BIGINT, lane BIGINT, number BIGINT, watermark BIGINT);
CREATE TABLE messages (lane BIGINT, number BIGINT, id TEXT, happened BIGINT, shopper TEXT);
CREATE TABLE publications (ordinal BIGINT, published_at BIGINT, boundary BIGINT);
"""


def history_in_sql(
    journal: Path, source: str, publications: Iterable[tuple[int, int, int]]
) -> duckdb.DuckDBPyConnection:
    blobs, database = LocalBlobs(str(journal)), duckdb.connect()
    database.execute(TABLES)
    database.executemany("INSERT INTO publications VALUES (?, ?, ?)", list(publications))
    index = JournalIndex(blobs)
    index.refresh()
    for ref in index.segments():
        segment = read_segment(blobs, ref)
        row = (ref.generation, segment.header.written, ref.lane, ref.number, segment.header.watermarks.get(source))
        database.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?)", row)
        for data in segment.messages.column("data").to_pylist():
            event = json.loads(data)
            place = [ref.lane, ref.number, f"{event['id']} {event['at']} {event['user']}", event["at"], event["user"]]
            database.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", place)
    return database


def rule_of(compiled: CompiledDefinition, window: str) -> CompiledRule:
    baseline = {"season": "none", "periods": 2, "min_periods": 1}
    rule = Rule.model_validate(
        {"window": yaml.safe_load(window), "expr": "n > coalesce(baseline.n, 1)", "baseline": baseline}
    )
    return compile_rules(compiled, {"busy": rule})[0]


def spans(judged: Judged) -> list[tuple[str, int, int]]:
    return sorted((alert.key, alert.since, alert.last) for alert in judged.alerts)


@pytest.mark.parametrize(("window", "size", "every"), [("1m", 1, 1), ("{size: 3m, every: 1m}", 3, 1), ("2m", 2, 2)])
@pytest.mark.parametrize("seed", range(2))
def test_then_and_now(tmp_path: Path, seed: int, window: str, size: int, every: int) -> None:
    compiled, choose, clock = (
        definition_of("{window: 1m, to: log}"),
        Random(seed),
        ManualClock(wall=BEGIN + 40 * MINUTE),
    )
    journal, begun = tmp_path / "journal", clock.wall()
    journal_of(compiled, journal, choose, clock)
    publications = published(tmp_path, compiled, choose, begun)
    rule = rule_of(compiled, window)
    boundary = boundaries_of(str(journal), "visits")
    assert boundary is not None
    (found,) = as_known(compiled, [rule], str(journal), boundary)
    history = history_of(compiled, journal_decoded(compiled, str(journal)), MINUTE)
    (now,) = backtest(compiled, history, [rule], found.until)
    database = history_in_sql(journal, compiled.definition.source.version, publications)
    lengths: dict[str, Any] = {"size": size * MINUTE, "every": every * MINUTE, "first": BEGIN - 10 * MINUTE}
    then = database.execute(SQL, lengths | {"as_known": True}).fetchall()
    by_all = database.execute(SQL, lengths | {"as_known": False}).fetchall()
    assert spans(found.judged[0]) == then != by_all == spans(now)
    assert len({boundary for _, _, boundary in publications}) > 3
    cost, long = lateness_of(found.judged[0], now), size * MINUTE
    missed = sum(
        not any(key == k and since < last + long and first < until + long for k, first, last in then)
        for key, since, until in by_all
    )
    assert (cost.then, cost.now, cost.missed) == (len(then), len(by_all), missed)
