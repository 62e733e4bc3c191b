"""Rules by what was known then: seeded journals, against each window computed by itself from a list of events."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import median

import pytest
import yaml

from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.clocks import ManualClock
from tandem.journal.index import SegmentRef
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.reading import read_segment
from tandem.journal.runs.generations import next_generation
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import BlobStore, LocalBlobs
from tandem.journal.storage.segments import Segment
from tandem.output.known_tables import known_text
from tandem.pipelines.backtest import known
from tandem.pipelines.backtest.as_known import as_known, lateness_of
from tandem.pipelines.backtest.history import history_of, journal_decoded
from tandem.pipelines.backtest.judging import backtest
from tandem.pipelines.backtest.known import known_history
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.rules.models import Rule
from tandem.schemas.time.durations import MINUTE, SECOND

TEXT = """
name: visits
source:
  schema: {type: record, name: Visit, fields: [
    {name: id, type: string}, {name: at, type: {type: long, logicalType: timestamp-micros}},
    {name: user, type: string}]}
  format: json
  event_id: id
  event_time: at
  max_ahead: null
key: user
tile: 1m
measures: {n: count}
"""
BEGIN = 1_767_600_000 * SECOND
OVERLAPS = {"1m": 1, "{size: 3m, every: 1m}": 3, "2m": 1}


@dataclass(frozen=True)
class Known:
    """An event, the watermark when it became known, and its generation."""

    at: int
    user: str
    reached: int | None
    generation: int


@pytest.fixture(scope="module")
def compiled() -> CompiledDefinition:
    return compile_definition(loads(TEXT))


def rule_of(compiled: CompiledDefinition, window: str) -> CompiledRule:
    rule = Rule.model_validate({
        "window": yaml.safe_load(window),
        "expr": "n > coalesce(baseline.n, 1)",
        "baseline": {"season": "none", "periods": 2, "min_periods": 1},
    })  # fmt: skip
    return compile_rules(compiled, {"busy": rule})[0]


Segments = list[tuple[int | None, int]]
"""(watermark, generation) of each."""


def wandering(
    compiled: CompiledDefinition, folder: Path, seed: int
) -> tuple[list[Known], list[tuple[int | None, int]]]:
    """A journal of two lanes, of which one falls behind; its events, and (watermark, generation) of each segment."""
    choose, blobs, clock = Random(seed), LocalBlobs(str(folder)), ManualClock()
    source = compiled.definition.source.version
    run = start_run(blobs, clock, lanes=2, subscription="s", sources=[source], take_over=True)
    lanes = [LaneWriter(blobs, run, lane, f"w{lane}", clock, number=0, generation=1) for lane in (0, 1)]
    reached: list[int | None] = [None, None]
    for writer in lanes:
        writer.open({source: None})
    events, segments, generation, seen = list[Known](), Segments(), 1, set[int]()
    stored = dict[int, int | None]()
    for step in range(60):
        clock.sleep(SECOND)
        lane = choose.choice([0, 0, 0, 1])
        stored[lane] = reached[lane]
        batch = [(BEGIN + int(max(step / 3 - choose.choice([0, 0, 0, 1, 4]) + choose.random(), 0) * MINUTE),
                  choose.choice(["ann", "bob"])) for _ in range(choose.randint(1, 4))]  # fmt: skip
        messages = list[Message]()
        known = list(stored.values())
        least = None if None in known else min(each for each in known if each is not None)
        segments.append((least, generation))
        for at, user in batch:
            copy = choose.random() < 0.1 and events
            event = (events[-1].at, events[-1].user) if copy and events else (at, user)
            identity = f"{event[0]}-{event[1]}"
            messages.append(Message(f"{step}-{len(messages)}", json.dumps(
                {"id": identity, "at": event[0], "user": event[1]}).encode()))  # fmt: skip
            if hash(identity) not in seen:
                seen.add(hash(identity))
                events.append(Known(*event, _highest(segments), generation))
        lanes[lane].append(messages_of(messages), {source: reached[lane]})
        newest = max(at for at, _ in batch) - MINUTE
        reached[lane] = max(newest, reached[lane] or newest)
        if step % 10 == 9:
            next_generation(blobs, clock, generation, "test")
            for each in (0, 1):
                lanes[each].seal(generation, {source: reached[each]})
            generation += 1
    return events, segments


def _highest(segments: Segments) -> int | None:
    return max((each for each, _ in segments if each is not None), default=None)


def naive(rule: CompiledRule, events: list[Known], segments: Segments) -> dict[tuple[str, int], bool]:
    """By key and window's start whether the expression held, of windows with events that were judged."""
    window = rule.rule.window
    size, every = window.size, window.every  # type: ignore[union-attr]
    found = {}
    for start in range(BEGIN - size, BEGIN + 30 * MINUTE, every):
        end = start + size
        if end % every:
            continue
        highest, cut = None, None
        for reached, generation in segments:
            highest = reached if highest is None else max(highest, reached or highest)
            if highest is not None and highest >= end:
                cut = generation
                break
        if cut is None:
            continue
        for user in ("ann", "bob"):
            mine = [e for e in events if e.user == user]
            then = sum(start <= e.at < end and (e.reached is None or e.reached < end) for e in mine)
            before = [
                sum(s <= e.at < s + size and e.generation < cut for e in mine)
                for s in (start - size, start - size - every)
            ]
            usual = [n for n in before if n]
            if then:
                found[f'["{user}"]', start] = then > (median(usual) if usual else 1)
    return found


@pytest.mark.parametrize("window", OVERLAPS)
@pytest.mark.parametrize("seed", range(4))
def test_as_known(compiled: CompiledDefinition, tmp_path: Path, seed: int, window: str) -> None:
    rule = rule_of(compiled, window)
    events, segments = wandering(compiled, tmp_path, seed)
    (found,) = as_known(compiled, [rule], str(tmp_path), lambda cut: cut.generation - 1)
    expected = naive(rule, events, segments)
    active = {place for place, holds in expected.items() if holds}
    (judged,) = found.judged
    shown = {(alert.key, start) for alert in judged.alerts for start in range(alert.since, alert.last + 1, rule.every)}
    assert shown == active != set()
    assert found.known.late == sum(
        any(e.reached is not None and e.reached >= end for end in _ends(rule, e.at)) for e in events
    )
    history = history_of(compiled, journal_decoded(compiled, str(tmp_path)), MINUTE)
    (now,) = backtest(compiled, history, [rule], found.until)
    cost = lateness_of(judged, now)
    assert (cost.then, cost.now) == (len(judged.alerts), len(now.alerts))
    assert cost.missed + cost.both == cost.now


def _ends(rule: CompiledRule, at: int) -> list[int]:
    window = rule.rule.window
    size, every = window.size, window.every  # type: ignore[union-attr]
    last = (at + size) // every * every
    return [end for end in range(last, at, -every) if end - size <= at]


def test_segments_without_a_time_have_their_newest_publish_time(
    compiled: CompiledDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of before have it: the order within a generation is then that of the messages."""
    wandering(compiled, tmp_path, 1)
    window = rule_of(compiled, "1m").rule.window
    whole = known_history(compiled, str(tmp_path), window, MINUTE)
    assert (whole.segments, whole.without_time) == (60, 0)
    assert whole.cut_of(whole.cuts[-1].watermark + 1) is None
    monkeypatch.setattr(known, "read_segment", _without_time)
    old = known_history(compiled, str(tmp_path), window, MINUTE)
    assert (old.segments, old.without_time, old.amount) == (60, 60, whole.amount)
    assert known_text([old], served=False).endswith(
        "60 of 60 segments don't say when they were written: their newest publish time stands for it"
    )


def _without_time(blobs: BlobStore, ref: SegmentRef) -> Segment:
    segment = read_segment(blobs, ref)
    return replace(segment, header=replace(segment.header, written=None))
