"""A number taken apart: runs, generations, messages, and why it isn't what it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from samples.orders_home import DAY_START, HOUR, Installation, Order
from servers.web import Web

from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import segment_path
from tandem.journal.storage.segments import SegmentHeader, encode_segment
from tandem.schemas.messages import MESSAGE_SCHEMA

ORDERS = "/api/v1/definitions/orders"
KEY = {"key": "mill,EUR"}
DAY = {"window": "day", "at": "2026-01-05T12:00"}


def test_an_answer_is_the_sum_of_its_parts(asked: Web) -> None:
    found = asked.get(f"{ORDERS}/explanation", **KEY, **DAY).json()
    assert [(part["run"], part["events"], part["results"]["orders"]) for part in found["batch"]] == [("b-1", 2, 2)]
    assert [(part["generation"], part["results"]["amount"]) for part in found["live"]] == [(2, 8.0), (3, 16.0)]
    assert found["results"]["amount"] == sum(part["results"]["amount"] for part in [*found["batch"], *found["live"]])
    assert [(tile["start"][11:13], tile["events"]) for tile in found["tiles"]] == [("08", 2), ("08", 1), ("09", 1)]
    assert {each["word"] for each in found["sentences"]} >= {"publication", "boundary", "batch run", "live run", "late"}


def test_layers_are_those_that_wrote_a_part(web: Web, orders: Any) -> None:
    orders.batch("b-2", 2, [Order(9.2, 3.0, generation=2)], parent="b-1", built_for="000001-aa")
    orders.store.publishing.publish("orders", orders.version, "b-2", "000001-aa")
    found = web.get(f"{ORDERS}/explanation", **KEY, **DAY).json()
    assert [(part["run"], part["boundary"], part["tiles"], part["events"]) for part in found["batch"]] == [
        ("b-1", 1, 1, 2),
        ("b-2", 2, 1, 1),
    ]


def test_what_is_over_all_keys_isnt_told_to_who_sees_some(guarded: Web) -> None:
    mine = guarded.known_as(rows=("orders=mill",)).get(f"{ORDERS}/explanation", **KEY, **DAY).json()
    assert not {each["word"] for each in mine["sentences"]} & {"late", "in flight", "dead letters", "residue"}
    assert (mine["late"], mine["certificate"]["in_flight"]) == ([], None)
    assert guarded.known_as(rows=("orders=oak",)).get(f"{ORDERS}/explanation", **KEY, **DAY).status_code == 403


def test_a_change_between_two_publications_in_words(web: Web, orders: Any) -> None:
    late = orders.Segment("000001-aa/0000", 4, 4, received=1, routed=0, late=[(DAY_START + 8 * HOUR, 1)])
    orders.store.live.write_segments(orders.version, "000001-aa", [late])
    counted = [Order(8.5, 8.0, generation=2), Order(9.5, 16.0, generation=3), Order(8.7, 100.0, generation=4)]
    orders.batch("b-2", 4, counted, parent="b-1", built_for="000001-aa")
    orders.store.publishing.publish("orders", orders.version, "b-2", "000001-aa", note="as every night")
    changed = web.get(f"{ORDERS}/changes", **KEY, **DAY, before=1, after=2).json()
    told = " ".join(changed["words"])
    assert "publication 2 (publish) moved the boundary from generation 1 to 4" in told
    assert "publication 2 (publish) says: as every night" in told
    assert [each["publication"] for each in changed["between"]] == [2]
    assert (changed["from"]["results"]["amount"], changed["to"]["results"]["amount"]) == (30.5, 130.5)
    assert {"result": "amount", "from": 30.5, "to": 130.5} in changed["differences"]
    assert "1 late events of the window (of all keys) waited for batch, which has counted them." in told
    assert "1 more events are counted: 4, then 5." in told
    again = web.get(f"{ORDERS}/changes", **KEY, **DAY, before=2, after=1).json()
    assert again["words"] == changed["words"]
    same = web.get(f"{ORDERS}/changes", **KEY, **DAY, before=2, after=2).json()
    assert (same["words"], same["differences"]) == (["the results are the same."], [])
    assert "no publication 9" in web.get(f"{ORDERS}/changes", **KEY, **DAY, before=1, after=9).json()["detail"]


def test_what_was_pruned_is_said_to_be_gone(web: Web, orders: Any) -> None:
    for number, order in ((2, Order(8.5, 8.0, generation=2)), (3, Order(9.5, 16.0, generation=3))):
        run = f"b-{number}"
        orders.batch(run, number, [order], parent=f"b-{number - 1}", built_for="000001-aa")
        orders.store.publishing.publish("orders", orders.version, run, "000001-aa")
    orders.store.publishing.prune("orders", 1)
    changed = web.get(f"{ORDERS}/changes", **KEY, **DAY, before=1, after=3).json()
    assert "isn't kept any more" in changed["from"]["gone"]
    assert (changed["from"]["results"], changed["to"]["gone"], changed["differences"]) == (None, None, [])


def journaled(
    made: Installation, number: int, generation: int, orders: list[dict[str, Any] | bytes], **header: Any
) -> None:
    """A segment of lane 0 of the live run, and which tiles it holds."""
    payloads = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in orders]
    messages = pa.RecordBatch.from_pylist(
        [
            {"message_id": f"m{number}-{at}", "publish_time": DAY_START, "attributes": [("from", "shop")], "data": data}
            for at, data in enumerate(payloads)
        ],
        MESSAGE_SCHEMA,
    )
    head = SegmentHeader("000001-aa", 0, number, generation, "n", **header)
    LocalBlobs(made.home / "journal").create(segment_path("000001-aa", 0, number), encode_segment(head, messages))
    tiles = sorted({DAY_START + int(each["hour"]) * HOUR for each in orders if isinstance(each, dict)})
    segment = type("Held", (), {"position": "000001-aa/0000", "number": number, "tiles": tiles})()
    made.store.batch.write_segment_tiles(made.version, [segment])


def order(number: int, hour: float, shop: str = "mill") -> dict[str, Any]:
    at = DAY_START + int(hour * HOUR)
    return {"id": f"o{number}", "at": at, "shop": shop, "currency": "EUR", "amount": 1.5, "hour": hour}


@pytest.fixture
def with_journal(orders: Installation) -> Installation:
    version = orders.compiled.definition.source.version
    journaled(orders, 1, 1, [order(1, 8.1), order(2, 8.2, "oak"), b"no order", order(3, 9.1)])
    journaled(orders, 2, 2, [order(4, 8.5), order(5, 20.0)])
    journaled(orders, 3, 2, [order(6, 8.6)], watermarks={version: DAY_START + 12 * HOUR})
    return orders


def test_messages_are_those_of_the_key_and_span_with_their_fate(web: Web, with_journal: Installation) -> None:
    span = KEY | {"from_": "2026-01-05T08:00", "to": "2026-01-05T09:00"}
    page = web.get(f"{ORDERS}/messages", **span).json()
    assert [(each["event_id"], each["fate"], each["generation"]) for each in page["messages"]] == [
        ("o1", "batch", 1),
        ("o4", "live", 2),
        ("o6", "late", 2),
    ]
    first = page["messages"][0]
    assert (first["position"], first["message_id"]) == ("000001-aa/0000/1#0", "m1-0")
    assert (first["attributes"], json.loads(first["payload"])["id"]) == ({"from": "shop"}, "o1")
    assert (page["next"], page["missing"]) == (None, [])


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_messages_have_each_once(web: Web, with_journal: Installation, limit: int) -> None:
    found, after = list[str](), dict[str, str]()
    while True:
        page = web.get(f"{ORDERS}/messages", **KEY, **DAY, limit=limit, **after).json()
        found += [each["event_id"] for each in page["messages"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == ["o1", "o3", "o4", "o5", "o6"]


def test_segments_that_are_gone_are_named(web: Web, with_journal: Installation) -> None:
    (Path(web.settings.journal) / segment_path("000001-aa", 0, 2)).unlink()
    page = web.get(f"{ORDERS}/messages", **KEY, **DAY).json()
    assert page["missing"] == [segment_path("000001-aa", 0, 2)]
    assert [each["event_id"] for each in page["messages"]] == ["o1", "o3", "o6"]


def test_messages_of_others_stay_theirs(guarded: Web, with_journal: Installation) -> None:
    oak = guarded.known_as(rows=("orders=oak",))
    assert oak.get(f"{ORDERS}/messages", **KEY, **DAY).status_code == 403
    found = oak.get(f"{ORDERS}/messages", key="oak,EUR", **DAY).text
    assert "o2" in found
    assert "mill" not in found


def test_a_cursor_of_something_else_is_refused(asked: Web) -> None:
    for after in ("x", "bm8", "WzFd", "W10", "../../x"):
        assert asked.get(f"{ORDERS}/messages", **KEY, **DAY, after=after).status_code == 400
