"""Samples of the shipped examples, and measures with mistakes that are easily made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.measures import registry
from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.values import present, read_column
from tandem.schemas.measures.ends import Last
from tandem.schemas.measures.extremes import Max, Min
from tandem.schemas.measures.specs import MeasureSpec
from tandem.schemas.measures.top_k import TopKCount

ROOT = Path(__file__).parents[3]
CLICKS, FLIGHTS = ROOT / "examples/clicks/clicks.yaml", ROOT / "examples/flights/flights.yaml"
START = 1_700_000_000_000_000


def clicks(count: int = 400) -> list[dict[str, Any]]:
    """Clicks on three pages, about one every two seconds."""
    random = Random(count)
    return [
        {
            "event_id": f"e{number}",
            "event_time": START + number * 2_000_000 + random.randrange(1_500_000),
            "user_id": random.randrange(40),
            "page": random.choice(["/a", "/b", "/ü"]),
            "country": "DE",
            "amount": round(random.random() * 100, 2),
        }
        for number in range(count)
    ]


def flights(count: int = 400) -> list[dict[str, Any]]:
    """Flights of two carriers, about ten an hour; some were cancelled, some left early."""
    random = Random(count)
    return [
        {
            "date": f"2013-02-{number // 200 + 1:02}",
            "carrier": random.choice(["UA", "DL"]),
            "flight": number,
            "origin": "JFK",
            "dest": random.choice(["LAX", "SFO", "BOS", "MIA", "ORD", "DEN", "SEA", "ATL"]),
            "tailnum": random.choice([None, "N1", "N2", "N3"]),
            "scheduled": START + number * 360_000_000,
            "known_at": START + number * 360_000_000,
            "dep_delay": None if gone else float(random.randint(-10, 300)),
            "arr_delay": None,
            "distance": float(random.randint(200, 2500)),
            "air_time": None if gone else float(random.randint(30, 400)),
            "cancelled": gone,
        }
        for number in range(count)
        for gone in [random.random() < 0.1]
    ]


def write_lines(path: Path, records: list[dict[str, Any]]) -> str:
    """The records as JSON Lines; returns the path as text."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return str(path)


@dataclass(frozen=True)
class _OneColumn(ColumnarMeasure):
    column: str
    type: pa.DataType

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)

    def result(self, states: pa.Array) -> list[Any]:
        return [value["value"] for value in states.to_pylist()]

    def _floats(self, events: pa.RecordBatch, groups: Groups) -> tuple[Any, Groups]:
        values, groups = present(read_column(events, self.column, self.type), groups)
        return values.cast(pa.float64()).to_numpy(zero_copy_only=False), groups


def _structs(kind: pa.DataType, *columns: Any) -> pa.Array:
    fields = list(kind)
    return pa.StructArray.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, fields, strict=True)], fields=fields
    )


@dataclass(frozen=True)
class NaiveSum(_OneColumn):
    """Adds floats as they come: rounding makes the order of adding show in the last digit."""

    kind: ClassVar[str] = "sum"

    @property
    def state_type(self) -> pa.DataType:
        return pa.struct([pa.field("value", pa.float64(), nullable=False)])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        return self._add(*self._floats(events, groups), size)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        return self._add(states.field("value").to_numpy(zero_copy_only=False), groups, size)

    def _add(self, values: Any, groups: Groups, size: int) -> pa.Array:
        total = np.zeros(size)
        np.add.at(total, groups, values)
        return _structs(self.state_type, total)


@dataclass(frozen=True)
class MeanOfMeans(_OneColumn):
    """Merges two means by taking their mean."""

    kind: ClassVar[str] = "mean"

    @property
    def state_type(self) -> pa.DataType:
        return pa.struct([pa.field("value", pa.float64())])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        return self._mean(*self._floats(events, groups), size)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        values, groups = present(states.field("value"), groups)
        return self._mean(values.to_numpy(zero_copy_only=False), groups, size)

    def _mean(self, values: Any, groups: Groups, size: int) -> pa.Array:
        means = [sorted(values[groups == group].tolist()) for group in range(size)]
        return _structs(self.state_type, [sum(found) / len(found) if found else None for found in means])


def naive_sum(patch: pytest.MonkeyPatch) -> None:
    """`sum` adds floats naively."""
    _plant(patch, "sum", lambda spec: NaiveSum(*spec.column()))


def mean_of_means(patch: pytest.MonkeyPatch) -> None:
    """`mean` is a mean of means."""
    _plant(patch, "mean", lambda spec: MeanOfMeans(*spec.column()))


def greatest_of_the_left(patch: pytest.MonkeyPatch) -> None:
    """`max` merges by keeping the first state that has a value."""

    def merge(self: Any, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        values, groups = present(states.field("value"), groups)
        chosen = np.full(size, -1)
        chosen[groups[::-1]] = np.arange(len(groups))[::-1]
        return _structs(self.state_type, values.take(pa.array(chosen, mask=chosen < 0)))

    patch.setattr(Max, "merge", merge)


def last_that_came(patch: pytest.MonkeyPatch) -> None:
    """`last` of equal hours goes by arrival: only the hour of the event time is compared."""
    intact = Last._choose

    def choose(self: Last, times: pa.Array, ids: pa.Array, values: pa.Array, groups: Groups, size: int) -> pa.Array:
        arrival = pa.array([f"{number:09}" for number in range(len(values))])
        hours = pa.array([time // 3_600_000_000 for time in times.to_pylist()], pa.int64())
        return intact(self, hours, arrival.cast(self.id_type), values, groups, size)

    patch.setattr(Last, "_choose", choose)


def least_begins_at_zero(patch: pytest.MonkeyPatch) -> None:
    """`min` takes no value for zero when it merges."""
    intact = Min.merge

    def merge(self: Min, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        return intact(self, _structs(self.state_type, states.field("value").fill_null(0)), groups, size)

    patch.setattr(Min, "merge", merge)


def only_the_top_is_kept(patch: pytest.MonkeyPatch) -> None:
    """`top_k` forgets all but the k greatest when it merges."""
    intact = TopKCount.merge

    def merge(self: TopKCount, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        merged = intact(self, states, groups, size)
        top = [
            {"items": [item["value"] for item in kept], "counts": [item["count"] for item in kept]}
            for kept in self.result(merged)
        ]
        return pa.array(top, self.state_type)

    patch.setattr(TopKCount, "merge", merge)


def _plant(patch: pytest.MonkeyPatch, kind: str, build: Callable[[MeasureSpec], Any]) -> None:
    patch.setitem(registry._KINDS, kind, registry.MeasureKind(kind, f"{{{kind}: COLUMN}}", build))
    compile_definition.cache_clear()


PLANTS: dict[str, tuple[Path, Callable[[pytest.MonkeyPatch], None]]] = {
    "clicks, a naive sum": (CLICKS, naive_sum),
    "clicks, a mean of means": (CLICKS, mean_of_means),
    "clicks, a max of the left": (CLICKS, greatest_of_the_left),
    "flights, a naive sum": (FLIGHTS, naive_sum),
    "flights, a last by arrival": (FLIGHTS, last_that_came),
    "flights, a least that begins at zero": (FLIGHTS, least_begins_at_zero),
    "flights, a top that is cut": (FLIGHTS, only_the_top_is_kept),
}
"""By name: the shipped definition, and what is planted."""

PLANTED_MODULE = '''
"""A measure that goes by arrival."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.registry import MeasureKind, register
from tandem.schemas.measures.encoding.values import read_column


@dataclass(frozen=True)
class Latest(ColumnarMeasure):
    kind: ClassVar[str] = "latest"
    column: str
    type: pa.DataType

    @property
    def inputs(self):
        return (self.column,)

    @property
    def state_type(self):
        return pa.struct([pa.field("value", self.type)])

    def update(self, events, groups, size):
        return self._newest(read_column(events, self.column, self.type), groups, size)

    def merge(self, states, groups, size):
        there = states.field("value").is_valid().to_numpy(zero_copy_only=False)
        return self._newest(states.field("value").filter(pa.array(there)), groups[there], size)

    def _newest(self, values, groups, size):
        chosen = np.full(size, -1)
        chosen[groups] = np.arange(len(groups))
        values = values.take(pa.array(chosen, mask=chosen < 0))
        return pa.StructArray.from_arrays([values], fields=list(self.state_type))

    def result(self, states):
        return states.field("value").to_pylist()


def build(spec):
    spec.allow()
    return Latest(*spec.column())


register(MeasureKind("latest", "{latest: COLUMN}", build))
'''
