"""`tandem windowed` on an engine: measures of files under Beam's own windows, without journal or store."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from processes.bench import Bench, differences
from samples import orders

from tandem.schemas.time.instants import instant_of

__all__ = ["windowed_measures"]


def windowed_measures(bench: Bench) -> None:
    """Orders in no order, with copies, from files; windows of the size of a tile, whose answers SQL gives."""
    definition = orders.definition(bench.folder)
    messages = orders.in_order(600)
    messages += messages[::12]
    random.Random(6).shuffle(messages)
    bench.write(messages)
    output = bench.folder / "windowed"
    named = ("--definition", str(definition), "--window", "10s", "--output", str(output))
    files = [text for path in bench.files for text in ("--files", str(path))]
    flags = bench.engine.of_backfill(bench.cluster)
    process = bench.stage.start("windowed", *named, *files, *flags)
    bench.well(process)
    assert differences(_found(output), orders.answers(bench.published)) == {}


def _found(output: Path) -> dict[tuple[str, int], dict[str, Any]]:
    rows = [json.loads(line) for path in output.glob("*.jsonl") for line in path.read_text().splitlines()]
    found = {(json.dumps([row["key"]["shop"]]), instant_of(row["window"]["start"])): row["results"] for row in rows}
    assert len(found) == len(rows), "one pane a window and key"
    return {place: orders.ready(results) for place, results in found.items()}
