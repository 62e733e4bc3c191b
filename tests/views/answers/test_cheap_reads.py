"""Reads that are made cheap say what the plain ones say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.certificate import Facts, judge
from tandem.schemas.columns import ID, TIME
from tandem.schemas.measures.registry import MEASURES, build
from tandem.views.answers.certifying import statuses
from tandem.views.answers.reading.scope import Scope

BOUNDS = st.integers(0, 3)


@dataclass(frozen=True)
class Definition:
    name: str = "orders"
    tile: int = 60_000_000
    lateness: int = 60_000_000


@dataclass(frozen=True)
class CompiledOfStatuses:
    version: str = "v1"
    definition: Definition = field(default_factory=Definition)
    measures: tuple[Any, ...] = ()


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    """Anything that may be served."""
    published = draw(st.booleans())
    batch, live = draw(st.sampled_from([None, "B"])), draw(st.sampled_from([None, "L"]))
    watermark = draw(st.none() | st.integers(0, 200_000_000)) if live else None
    boundary, residue, in_flight, dead = (draw(BOUNDS) for _ in range(4))
    return Scope(
        "orders", "v1", int(published), 1, boundary, 1 if batch else None, batch, frozenset(), 1 if live else None,
        live, watermark, 0, residue, in_flight, 0, dead,
    )  # fmt: skip


STEPS = st.lists(st.tuples(st.integers(0, 3), BOUNDS, BOUNDS, BOUNDS), max_size=8)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(scope=scopes(), steps=STEPS)
def test_the_statuses_of_a_series_are_those_of_its_steps(scope: Scope, steps: list[Any]) -> None:
    compiled = CompiledOfStatuses()
    columns = list(zip(*steps, strict=True)) or [(), (), (), ()]
    ends = [60_000_000 * end for end in columns[0]]
    events = [more + live for more, live in zip(columns[1], columns[2], strict=True)]
    expected = []
    for end, count, live, late in zip(ends, events, columns[2], columns[3], strict=True):
        facts = Facts(
            end, compiled.definition.lateness, scope.publication > 0, scope.batch_run is not None,
            scope.live_run is not None, scope.boundary, scope.watermark, count, live, late, scope.dead_letters,
            scope.in_flight, scope.residue,
        )  # fmt: skip
        expected.append(judge(facts)[0])
    assert statuses(cast(Any, compiled), scope, ends, events, columns[2], columns[3]) == expected


def measures_of_every_kind() -> tuple[pa.RecordBatch, list[Any]]:
    """20,000 events, and a measure of every kind of column that it takes."""
    random, count = np.random.default_rng(1), 20_000
    texts = [f"s{number}" for number in (random.zipf(1.3, count) % 5_000).tolist()]
    events = pa.record_batch(
        {
            TIME: pa.array(random.integers(0, 10**9, count)),
            ID: pa.array([str(number) for number in random.permutation(count).tolist()]),
            "x": pa.array(random.normal(size=count) * 10.0 ** random.integers(-5, 9, count)),
            "n": pa.array(random.integers(-99, 99, count)),
            "s": pa.array(texts),
        }
    )
    specs: list[Any] = ["count", {"sum": "n"}, {"max": "s"}, {"top_k": "s", "by": {"sum": "x"}}]
    specs += [{"top_k": "s", "k": 3, "capacity": 40}, {"distinct": "s"}, {"first": "s"}]
    specs += [{kind: "x"} for kind in MEASURES if kind not in ("count", "top_k")]
    return events, [build("m", spec, events.schema) for spec in specs]


@pytest.mark.parametrize("size", [1, 7, 300])
def test_merging_one_state_gives_the_same(size: int) -> None:
    """So answers of one row a step, and batch writes of one block a tile, needn't merge."""
    events, measures = measures_of_every_kind()
    groups = np.random.default_rng(size).integers(0, size, events.num_rows)
    assert {measure.kind for measure in measures} == set(MEASURES)
    for measure in measures:
        states = measure.decode(measure.encode(measure.update(events, groups, size)))
        merged = measure.merge(states, np.arange(size), size)
        assert measure.encode(merged) == measure.encode(states), measure.kind
        assert repr(measure.result(merged)) == repr(measure.result(states)), measure.kind
