"""The CombineFns: right for any split of events and any order of merging, few or many, none at all."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from random import Random
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from samples.collected import Collect, seen

from tandem.runners.submission.launching import FN_API_RUNNER
from tandem.schemas.errors import UserError
from tandem.transforms.windowed import MeasureEvents, MergeStates, compile_measures, states_of
from tandem.transforms.windowed.states.combining import Gather

MEASURES = compile_measures(
    {"price": float, "user": int},
    {
        "n": "count",
        "total": {"sum": "price"},
        "users": {"distinct": "user"},
        "spread": {"stddev": "price"},
        "most": {"top_k": "user", "k": 2},
    },
    where="user <> 0",
)


def sales(random: Random, count: int) -> list[dict[str, Any]]:
    return [{"price": random.choice([0.1, 1e16, -1e16, 2.5]), "user": random.randrange(5)} for _ in range(count)]


def expected(events: list[dict[str, Any]]) -> dict[str, Any]:
    return MEASURES.results(states_of(MEASURES, events))


@pytest.mark.parametrize("count", [0, 1, 7, 3_000])
@pytest.mark.parametrize("seed", range(3))
def test_any_split_gives_the_same(count: int, seed: int) -> None:
    random = Random(seed)
    events, measure = sales(random, count), MeasureEvents(MEASURES)
    accumulators = [measure.create_accumulator() for _ in range(random.randrange(1, 5))]
    for event in events:
        at = random.randrange(len(accumulators))
        accumulators[at] = measure.add_input(accumulators[at], event)
    random.shuffle(accumulators)
    kept = [measure.compact(one) if random.random() < 0.5 else one for one in accumulators]
    assert measure.extract_output(measure.merge_accumulators(kept)) == expected(events)


def test_sums_are_exact() -> None:
    events = [{"price": price, "user": 1} for price in (1e16, 0.1, 0.2, -1e16)]
    assert expected(events)["total"] == math.fsum([0.1, 0.2])


def test_many_states_are_merged_as_they_come() -> None:
    events = sales(Random(1), 300)
    merge = MergeStates(MEASURES)
    accumulator = merge.create_accumulator()
    for event in events:
        accumulator = merge.add_input(accumulator, states_of(MEASURES, [event]))
        assert len(accumulator) <= 64
    assert merge.extract_output(accumulator) == states_of(MEASURES, events)


def test_no_states_are_the_state_of_no_events() -> None:
    merge = MergeStates(MEASURES)
    assert merge.extract_output(merge.create_accumulator()) == states_of(MEASURES, []) == MEASURES.nothing
    assert Gather(MEASURES.merged, 2).extract_output([]) == []


def test_an_event_that_doesnt_fit_is_told() -> None:
    with pytest.raises(UserError, match=r"an event can't be measured: price: .*much"):
        states_of(MEASURES, [{"price": "much", "user": 1}])


@dataclass
class Both(beam.PTransform):  # type: ignore[misc]
    """Results by key, and of all."""

    def expand(self, pairs: beam.PCollection) -> beam.PCollection:
        by_key = pairs | "ByKey" >> beam.CombinePerKey(MeasureEvents(MEASURES))
        rows = pairs | "Rows" >> beam.Map(lambda pair: beam.Row(**pair[1]))
        of_all = rows | "All" >> beam.CombineGlobally(MeasureEvents(MEASURES)) | beam.Map(lambda found: ("all", found))
        return (by_key, of_all) | beam.Flatten()


def test_per_key_and_globally_in_a_pipeline() -> None:
    random, name = Random(5), secrets.token_hex(4)
    pairs = [(random.choice("ab"), event) for event in sales(random, 200)]
    with beam.Pipeline(options=PipelineOptions([f"--runner={FN_API_RUNNER}"])) as pipeline:
        _ = pipeline | beam.Create(pairs) | Both() | beam.ParDo(Collect(name))
    wanted = {key: expected([event for other, event in pairs if other == key]) for key in "ab"}
    assert dict(seen(name)) == {**wanted, "all": expected([event for _, event in pairs])}
