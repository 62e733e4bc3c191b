"""Verdicts by the second: a backtest of hours of a year, many keys and many rules.

`python -m benchmarks.parts.verdicts [--keys 1000] [--days 365] [--rules 100]` makes one event for each key and hour,
decodes nothing, and says how long states and judging took, how many verdicts that were a second and core, and the most
memory.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from tandem.pipelines.backtest.history import history_of
from tandem.pipelines.backtest.judging import backtest, judging_alone
from tandem.schemas.columns import ID, TIME
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.messages import Decoded
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.rules.models import Rule
from tandem.schemas.time.durations import DAY, HOUR

TEXT = """
name: sales
source:
  schema: {type: record, name: Sale, fields: [
    {name: id, type: long}, {name: at, type: {type: long, logicalType: timestamp-micros}},
    {name: shop, type: string}, {name: amount, type: double}]}
  format: json
  event_id: id
  event_time: at
  max_ahead: null
key: shop
tile: 1h
deduplicate: false
measures: {n: count, amount: {sum: amount}, mean: {mean: amount}, most: {max: amount}}
"""
BEGIN = 1_735_689_600 * 1_000_000
"""2025-01-01T00:00:00Z."""
SEASONS = ("hour_of_week", "hour_of_day")


def rules_of(compiled: CompiledDefinition, count: int) -> tuple[CompiledRule, ...]:
    """Rules over two measures and four baselines, each with its own threshold."""
    made: dict[str, Any] = {}
    for at in range(count):
        measure, season = ("amount", "n")[at % 2], SEASONS[at // 2 % 2]
        made[f"r{at}"] = Rule.model_validate({
            "window": "1h",
            "expr": f"{measure} > baseline.{measure} + params.k * baseline.{measure}.spread",
            "params": {"k": 2 + at / 20},
            "baseline": {"season": season, "periods": 8, "min_periods": 4, "min_spread": 0.1},
            "for": ("0s", "1h", "2h")[at % 3],
        })  # fmt: skip
    return compile_rules(compiled, made)


def batches(compiled: CompiledDefinition, keys: int, days: int) -> Iterator[Decoded]:
    """Batches of a day each, with an event for each key and hour."""
    random = np.random.default_rng(5)
    shops = pa.array([f"shop-{at:05d}" for at in range(keys)])
    for day in range(days):
        hours = np.repeat(np.arange(24, dtype=np.int64), keys) * HOUR + BEGIN + day * DAY
        size = len(hours)
        columns = {
            "id": pa.array(np.arange(size) + day * size),
            "at": pa.array(hours),
            "shop": shops.take(pa.array(np.tile(np.arange(keys), 24))),
            "amount": pa.array(random.gamma(2.0, 50.0, size)),
        }
        columns |= {TIME: columns["at"], ID: columns["id"]}
        events = pa.RecordBatch.from_arrays(
            [columns[f.name] for f in compiled.events_schema], schema=compiled.events_schema
        )
        yield Decoded(events, np.arange(size), ())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rules", type=int, default=100)
    flags = parser.parse_args()
    compiled = compile_definition(loads(TEXT))
    rules = rules_of(compiled, flags.rules)
    begun = time.perf_counter()
    history = history_of(judging_alone(compiled, rules), batches(compiled, flags.keys, flags.days), HOUR)
    states = time.perf_counter() - begun
    begun, used = time.perf_counter(), time.process_time()
    found = backtest(judging_alone(compiled, rules), history, rules, BEGIN + flags.days * DAY)
    judging, core = time.perf_counter() - begun, time.process_time() - used
    verdicts = sum(sum(each.verdicts.values()) for each in found)
    alerts = sum(len(each.columns) for each in found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{history.amount.counted:,} events, {len(rules)} rules: {verdicts:,} verdicts, {alerts:,} alerts")
    print(f"states {states:.1f} s, judging {judging:.1f} s ({core:.1f} s of a core), peak {peak:,.0f} MB")
    print(f"{verdicts / core:,.0f} verdicts a second and core")


if __name__ == "__main__":
    main()
