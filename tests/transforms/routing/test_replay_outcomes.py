"""Replays in routing: what becomes of them, and that none counts beside its original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from apache_beam import coders
from oracles.routing_checks import BORDER
from samples import sales
from samples.sales import Sale

from tandem.formats.dead_letters.replays import ReplayOf, without_replay
from tandem.transforms.elements import SourceBatch
from tandem.transforms.routing.replay_outcomes import EarlierLetters
from tandem.transforms.routing.tiles import route
from tandem.transforms.trial import try_messages

COMPILED, EVERY_COPY = sales.compiled(), sales.compiled(deduplicate=False)
GOOD, BAD = Sale("a", 1).payload(), b"garbage"
MakeBatch = Callable[..., SourceBatch]
OF = ReplayOf("run/0000/3", 5, 2, 1_700_000_000_000_000, 4)


def with_attributes(batch: SourceBatch, attributes: dict[int, dict[str, str]]) -> SourceBatch:
    assert batch.messages is not None
    values = [sorted(attributes.get(row, {"n": "1"}).items()) for row in range(batch.messages.num_rows)]
    columns = list(batch.messages.columns)
    columns[2] = pa.array(values, batch.messages.schema.field("attributes").type)
    return replace(batch, messages=pa.RecordBatch.from_arrays(columns, schema=batch.messages.schema))


def test_attributes_say_what_a_message_is_a_replay_of() -> None:
    attributes = {"mine": "1", **OF.attributes()}
    assert ReplayOf.of(attributes) == OF
    assert without_replay(attributes) == {"mine": "1"}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"tandem-replay-of": "run/0000/3"}, id="no-row"),
        pytest.param({"tandem-replay-of": "#3"}, id="no-position"),
        pytest.param({"tandem-replay-from": "2"}, id="no-time"),
        pytest.param({"tandem-replay-from": "two@3"}, id="no-generation"),
        pytest.param({"tandem-attempt": ""}, id="no-attempt"),
        pytest.param({"tandem-attempt": "-1"}, id="negative-attempt"),
        pytest.param({"tandem-attempt": "\u0663"}, id="other-digits"),
    ],
)
def test_attributes_that_nobody_can_read_make_no_replay(change: dict[str, str]) -> None:
    assert ReplayOf.of({**OF.attributes(), **change}) is None


@pytest.mark.parametrize("compiled", [COMPILED, EVERY_COPY], ids=["copies-removed", "copies-count"])
def test_fates_of_replays(compiled: Any, source_batch: MakeBatch) -> None:
    batch = with_attributes(
        source_batch(compiled, [GOOD, BAD, BAD, Sale("s", 2, kind="skip").payload()]),
        {0: OF.attributes(), 1: replace(OF, row=6).attributes(), 3: replace(OF, row=7).attributes()},
    )
    earlier = EarlierLetters(10, lambda position, row: True)
    found = route(compiled, 1, batch, earlier)
    fates = [(f.row, f.original, f.original_row, f.attempt, f.decoded, f.stage) for f in found.tally.replays]
    assert fates == [
        (0, "run/0000/3", 5, 4, True, ""),
        (1, "run/0000/3", 6, 4, False, "decode"),
        (3, "run/0000/3", 7, 4, True, ""),
    ]
    assert "not JSON" in found.tally.replays[1].reason
    assert (found.tally.dead_rows, found.dead.replays) == ((1, 2), found.tally.replays)
    assert (found.tally.routed, found.tally.duplicates, found.tally.filtered) == (1, 0, 1)


def known(*dead: tuple[str, int], boundary: int) -> EarlierLetters:
    return EarlierLetters(boundary, lambda position, row: (position, row) in dead)


@pytest.mark.parametrize(
    ("earlier", "payload", "counts"),
    [
        pytest.param(known(("run/0000/3", 5), boundary=2), GOOD, True, id="noted-dead-in-batch"),
        pytest.param(known(("run/0000/3", 4), boundary=2), GOOD, False, id="counted-in-batch"),
        pytest.param(known(("run/0000/3", 5), boundary=0), GOOD, True, id="noted-dead-by-this-run"),
        pytest.param(known(boundary=0), GOOD, False, id="this-run-reads-the-original"),
        pytest.param(None, GOOD, False, id="nothing-is-known"),
        pytest.param(known(boundary=0), BAD, True, id="this-run-can't-read-the-original"),
    ],
)
@pytest.mark.parametrize("watermark", [None, BORDER + 10**18], ids=["in-time", "late"])
def test_where_copies_count_a_replay_counts_just_when_its_original_does_not(
    earlier: EarlierLetters | None, payload: bytes, counts: bool, watermark: int | None, source_batch: MakeBatch
) -> None:
    batch = source_batch(EVERY_COPY, [GOOD], watermark=watermark)
    assert batch.messages is not None
    columns = list(batch.messages.columns)
    # the bytes that stand for the original's, which is read once more
    columns[3] = pa.array([payload], pa.binary())
    messages = pa.RecordBatch.from_arrays(columns, schema=batch.messages.schema)
    found = route(EVERY_COPY, 1, with_attributes(replace(batch, messages=messages), {0: OF.attributes()}), earlier)
    late = sum(count for _, count in found.tally.late)
    assert (found.tally.routed + late, found.tally.duplicates) == ((1, 0) if counts else (0, 1))
    assert sum(part.num_rows for _, part in found.parts) == (counts and watermark is None)
    assert [fate.decoded for fate in found.tally.replays] == [True]


def test_where_copies_are_removed_all_replays_go_on(source_batch: MakeBatch) -> None:
    batch = with_attributes(source_batch(COMPILED, [GOOD]), {0: OF.attributes()})
    found = route(COMPILED, 1, batch, known(boundary=9))
    assert (found.tally.routed, found.tally.duplicates) == (1, 0)


def test_fates_travel_with_tallies_and_letters(source_batch: MakeBatch) -> None:
    batch = with_attributes(source_batch(COMPILED, [GOOD, BAD]), {0: OF.attributes(), 1: OF.attributes()})
    found = route(COMPILED, 1, batch)
    for value in (replace(found.tally, duplicates=3), found.dead):
        coder = coders.registry.get_coder(type(value))
        assert coder.decode(coder.encode(value)) == value


def test_a_trial_reads_messages_one_by_one() -> None:
    odd = Sale("b", 2, units=sales.OVERFLOWS).payload()
    tried = try_messages(COMPILED, [(GOOD, 5, {}), (BAD, 5, {"a": "b"}), (odd, 5, {}), (b"", 5, {})])
    assert [verdict.stage for verdict in tried] == ["", "decode", "expression", "decode"]
    assert [verdict.readable for verdict in tried] == [True, False, False, False]
    assert try_messages(COMPILED, []) == []
