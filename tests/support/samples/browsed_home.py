"""A home with something to see on every page: two definitions, alerts over a band of what is usual, dead letters."""

from __future__ import annotations

from pathlib import Path

from without_runner.alert_stories import AlertStory
from without_runner.result_stories import BEGIN, Event

from samples.alerted_home import alerted_home, busy
from samples.orders_home import Installation, Order, serve_orders
from tandem.formats.dead_letters.files import encode, letters_name
from tandem.schemas.messages import DeadLetter

__all__ = ["browsed_home"]

_LETTERS = ("no JSON at all", '{"id": "a", "at": "noon"}', "\x00\x01 bytes <script>alert(1)</script>")


def browsed_home(folder: Path) -> tuple[Installation, AlertStory]:
    """`orders`, and `visits` whose rules have alerted; both are in FOLDER/home."""
    orders = Installation(folder)
    serve_orders(orders)
    orders.live("000001-aa", [Order(7.5, 5.0, generation=4), Order(9.8, 12.0, generation=4)])
    _dead_letters(orders)
    story = alerted_home(orders.home)
    for minute in range(3, 12):
        story.live(*(Event(minute + n / 10, user="cid", generation=2) for n in range(1 + minute % 2)))
    story.watermark(12)
    story.deliver()
    story.batch(2, 12)
    story.deliver()
    busy(story, 12, "cid", 3)
    story.live(*(Event(12.3 + n / 100, user="cid", generation=3) for n in range(6)))
    story.live(Event(13.1, user="cid", generation=3))
    story.watermark(13.2)
    story.deliver()
    return orders, story


def _dead_letters(orders: Installation) -> None:
    position = "000001-aa/0000"
    orders.store.live.write_segments(
        orders.version, "000001-aa", [orders.Segment(position, 9, 4, len(_LETTERS), 0, dead=len(_LETTERS))]
    )
    letters = [
        DeadLetter(text.encode(), ("not JSON", "at: not a time", "not JSON")[row], "decode", row, f"m{row}", BEGIN)
        for row, text in enumerate(_LETTERS)
    ]
    path = orders.home / "deadletters" / orders.version / f"{letters_name(position, 9)}.avro"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(letters, f"{position}/9", written_at=BEGIN, version=orders.version))
