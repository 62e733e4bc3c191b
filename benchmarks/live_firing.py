"""What a firing costs by the number of open keys, with 1,000 keys changed: `python -m benchmarks.live_firing`.

Of one tile and shard: merging the delta into the tile's states by `tandem.transforms.fold.block`. CPU milliseconds, the
mean of many firings: chunks that are merged now and then are in it.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

import numpy as np
import pyarrow as pa

from benchmarks.inputs.clicks import DEFINITIONS
from benchmarks.measuring.results import Row, record
from tandem.schemas.columns import GENERATION, KEY
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import load
from tandem.schemas.states import aggregate
from tandem.transforms.fold.block import TileBlock

__all__ = ["events_of", "firing_ms", "main"]

OPEN: Final = (10_000, 30_000, 100_000, 300_000, 1_000_000)


def events_of(compiled: CompiledDefinition, keys: np.ndarray[Any, Any]) -> pa.RecordBatch:
    """One event of each of these users."""
    columns: dict[str, pa.Array] = {KEY: pa.array([f"[{key}]" for key in keys.tolist()])}
    columns[GENERATION] = pa.array(np.ones(len(keys), np.int64))
    for field in compiled.input_schema:
        if field.name not in columns:
            columns[field.name] = pa.array(np.arange(len(keys)) % 97).cast(field.type)
    return pa.record_batch(columns)


def firing_ms(compiled: CompiledDefinition, open_keys: int, changed: int, firings: int) -> float:
    """CPU milliseconds of a firing."""
    random, block = np.random.default_rng(1), TileBlock(compiled.measures)
    block.merge(aggregate(compiled.measures, events_of(compiled, np.arange(open_keys))))
    deltas = [
        aggregate(compiled.measures, events_of(compiled, random.choice(open_keys, changed, replace=False)))
        for _ in range(firings + 1)
    ]
    block.merge(deltas[0])
    begun = time.process_time()
    for delta in deltas[1:]:
        block.merge(delta)
    return (time.process_time() - begun) * 1_000 / firings


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changed", type=int, default=1_000)
    parser.add_argument("--firings", type=int, default=30)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    compiled, rows = compile_definition(load(DEFINITIONS["clicks_users"])), []
    for open_keys in OPEN:
        figure = firing_ms(compiled, open_keys, options.changed, options.firings)
        print(f"{open_keys:>10,} open keys: {figure:8.2f} ms")
        rows.append(Row({"open_keys": open_keys, "changed": options.changed}, {"cpu_ms": round(figure, 3)}))
    if not options.no_record:
        record("firing", rows)


if __name__ == "__main__":
    main()
