"""Which reader brought a pane's events: stamped where they are routed, gathered with them, held against the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from samples import sales
from samples.sales import Sale

from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import watermark_path
from tandem.schemas.states import from_ipc, to_ipc
from tandem.transforms.elements import RecordBatchCoder
from tandem.transforms.routing.tiles import route
from tandem.transforms.sources.reader_epochs import ReaderEpochs, are_replaced, epochs_of, gathered, stamped, unstamped

EVENTS = pa.record_batch({"n": [1, 2]})


@pytest.mark.parametrize(
    ("newest", "openings", "replaced"),
    [
        pytest.param({}, {}, False, id="nobody has opened a lane"),
        pytest.param({0: 5}, {}, False, id="events of the journal are anybody's"),
        pytest.param({0: 5}, {"run/0000": 5}, False, id="the newest reader's"),
        pytest.param({0: 5, 1: 9}, {"run/0000": 5}, False, id="the newest reader's of its own lane"),
        pytest.param({0: 5}, {"run/0000": 4}, True, id="an earlier reader's"),
        pytest.param({0: 5, 1: 9}, {"run/0000": 5, "run/0001": 8}, True, id="one of two lanes was replaced"),
        pytest.param({0: 0}, {"run/0000": 4}, False, id="the replacement hasn't opened the lane yet"),
        pytest.param({0: 5}, {"earlier/0000": 4}, False, id="a lane of an earlier run"),
    ],
)
def test_a_later_opening_tells_of_a_later_reader(
    tmp_path: Path, newest: dict[int, int], openings: ReaderEpochs, replaced: bool
) -> None:
    blobs = LocalBlobs(str(tmp_path))
    for lane, opening in newest.items():
        blobs.replace(watermark_path("run", lane, opening), b"{}")
    assert are_replaced(blobs, "run", openings) is replaced


def test_a_stamp_travels_with_the_events_and_is_taken_off_again() -> None:
    events = stamped(EVENTS, {"run/0000": 3})
    coder = RecordBatchCoder()
    arrived = coder.decode(coder.encode(events.slice(1)))
    assert epochs_of(arrived) == {"run/0000": 3}
    assert to_ipc(unstamped(arrived)) == to_ipc(EVENTS.slice(1)), "what is kept doesn't tell who brought it"
    assert epochs_of(from_ipc(to_ipc(EVENTS))) == {}


def test_of_several_readers_the_earliest_is_named() -> None:
    parts = [stamped(EVENTS, opened) for opened in ({"a/0000": 7}, {"a/0001": 2}, {"a/0000": 4}, {})]
    together = gathered(parts)
    assert (epochs_of(together), together.column("n").to_pylist()) == ({"a/0000": 4, "a/0001": 2}, [1, 2] * 4)
    assert epochs_of(gathered([EVENTS])) == {}


@pytest.mark.parametrize("opening", [None, 12])
def test_routing_stamps_what_a_reader_brought(source_batch: Callable[..., Any], opening: int | None) -> None:
    batch = replace(source_batch(sales.compiled(), [Sale("a", 1).payload()]), opening=opening)
    ((_, events),) = route(sales.compiled(), 1, batch).parts
    assert epochs_of(events) == ({} if opening is None else {batch.position: opening})
