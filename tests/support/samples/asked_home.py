"""A home with `sales`: a file that batch has counted, and a journal of messages that it hasn't, copies in both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tandem.journal.broker.memory import MemoryBroker
from tandem.journal.clocks import ManualClock
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.lanes.reader import LaneReader
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.pipelines.backfill import run as backfill
from tandem.runners.options.reading import read_arguments

__all__ = ["DEFINITION", "SALES", "SCHEMA", "sales_home", "sales_journal"]

DEFINITION: Final = """
name: sales
source: {schema: sale.avsc, format: json, event_id: id, event_time: at}
key: [shop]
tile: 1m
measures: {n: count, amount: {sum: amount}, best: {top_k: shop, k: 1}}
windows:
  shift: {size: 8h}
  visits: {session: 30m}
"""
SCHEMA: Final = {
    "type": "record",
    "name": "Sale",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "shop", "type": "string"},
        {"name": "amount", "type": "double"},
    ],
}
HOUR: Final = 3_600_000_000
SALES: Final[list[tuple[str, int, str, float]]] = [
    ("a", 0, "x", 1.5), ("b", 59_999_999, "x", 2.5), ("c", 60_000_000, "y", 4.0), ("a", 0, "x", 1.5),
    ("d", HOUR, "x", 8.0), ("e", 30 * HOUR, 'quote "and', 16.0),
]  # fmt: skip
"""(id, time, shop, amount); the fourth is a copy of the first."""
_MESSAGES: Final = [("b", 59_999_999, "x", 2.5), ("f", 2 * HOUR, "y", 32.0)]
"""The first is a copy of an event of the file."""


def sales_home(folder: Path) -> Path:
    """Made below a folder; its definition is FOLDER/sales.yaml."""
    (folder / "sale.avsc").write_text(json.dumps(SCHEMA))
    (folder / "sales.yaml").write_text(DEFINITION)
    (folder / "sales.jsonl").write_text("".join(f"{_json(sale)}\n" for sale in SALES))
    home = folder / "home"
    files = ["--definition", f"{folder / 'sales.yaml'}", "--files", f"{folder / 'sales.jsonl'}"]
    backfill(read_arguments("backfill", [*files, "--home", str(home)]))
    sales_journal(home / "journal")
    return home


def sales_journal(folder: Path) -> None:
    """A journal of three messages, the last of which is no sale."""
    clock = ManualClock()
    broker = MemoryBroker(clock)
    for payload in (*map(_json, _MESSAGES), "no sale"):
        broker.publish(payload.encode())
    blobs: Any = LocalBlobs(folder)
    run = start_run(blobs, clock, lanes=1, subscription="s", sources={"x"}, definitions=[], boundary=0)
    LaneReader(blobs, run, 0, broker, clock, lambda batch: (None, {"x": 0}), LaneConfig({"x": 0})).advance()


def _json(sale: tuple[str, int, str, float]) -> str:
    return json.dumps(dict(zip(("id", "at", "shop", "amount"), sale, strict=True)))
