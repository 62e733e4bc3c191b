"""SeenIds against a dict that remembers every id and content."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.transforms.routing.seen_ids import ID_SCHEMA, SeenIds, ids_batch

Event = tuple[int, int, int]
"""(hash, content, generation)."""

EVENTS = st.lists(st.tuples(st.sampled_from([0, 1, 2, 2**64 - 1]), st.integers(0, 2), st.integers(-1, 3)), max_size=6)
BATCHES = st.lists(EVENTS, min_size=1, max_size=7)


def batch(events: list[Event]) -> pa.RecordBatch:
    hashes, contents, generations = zip(*events, strict=True) if events else ((), (), ())
    columns = [pa.array(hashes, pa.uint64()), pa.array(contents, pa.uint64()), pa.array(generations, pa.int64())]
    return pa.RecordBatch.from_arrays(columns, schema=ID_SCHEMA)


@dataclass
class Model:
    """The rules, event by event."""

    counted: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, events: list[Event]) -> tuple[list[bool], list[bool], set[tuple[Event, int]]]:
        """(counts, conflicts, straddlers with the generation they were counted in)."""
        chosen: dict[tuple[int, int], int] = {}
        for row, (event, content, generation) in enumerate(events):
            best = chosen.get((event, content))
            if best is None or generation < events[best][2]:
                chosen[event, content] = row
        first, conflicts = [False] * len(events), [False] * len(events)
        cross_duplicates = set()
        # of one id's contents that come together, the smallest is no conflict
        for (event, content), row in sorted(chosen.items()):
            generation = events[row][2]
            if (event, content) in self.counted:
                counted_in = self.counted[event, content]
                if counted_in > generation:
                    cross_duplicates.add(((event, content, generation), counted_in))
                continue
            first[row] = True
            before = [other for other in (*self.counted, *chosen) if other[0] == event and other != (event, content)]
            conflicts[row] = any(other in self.counted or other < (event, content) for other in before)
        for (event, content), row in chosen.items():
            self.counted.setdefault((event, content), events[row][2])
        return first, conflicts, cross_duplicates


def check(seen: SeenIds, model: Model, events: list[Event]) -> None:
    """One batch, judged by both."""
    verdict = seen.add(batch(events))
    first, conflicts, cross_duplicates = model.add(events)
    assert verdict.first.tolist() == first
    assert verdict.conflicts.tolist() == conflicts
    rows = [tuple(row.values()) for row in ids_batch(verdict.cross_duplicates).to_pylist()]
    assert set(zip(rows, verdict.counted_generations.tolist(), strict=True)) == cross_duplicates
    assert len(rows) == len(cross_duplicates), "a straddler is named once a batch"
    counted = [tuple(row.values()) for row in ids_batch(verdict.counted).to_pylist()]
    assert counted == sorted(event for event, counts in zip(events, first, strict=True) if counts)


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(batches=BATCHES)
def test_judges_like_a_dict(batches: list[list[Event]]) -> None:
    seen, model = SeenIds(), Model()
    for events in batches:
        check(seen, model, events)
    assert len(seen) == len(model.counted)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(batches=BATCHES, cut=st.integers(0, 7), shuffled=st.randoms(use_true_random=False))
def test_dumped_and_loaded_anywhere_it_goes_on_alike(batches: list[list[Event]], cut: int, shuffled: Random) -> None:
    before, model = SeenIds(), Model()
    for events in batches[:cut]:
        check(before, model, events)
    rows = before.dump().to_pylist()
    pieces = [list(row.values()) for row in shuffled.sample(rows, len(rows))]
    after = SeenIds()
    for start in range(0, len(pieces), 2):
        after.load(batch([tuple(piece) for piece in pieces[start : start + 2]]))
    for events in batches[cut:]:
        check(after, model, events)
    assert after.dump().equals(batch(sorted((*pair, g) for pair, g in model.counted.items())))


def test_ids_loaded_twice_judge_alike() -> None:
    known = batch([(1, 1, 4), (2, 1, 4)])
    seen = SeenIds()
    seen.load(known)
    seen.load(known)
    verdict = seen.add(batch([(1, 1, 3), (1, 2, 3), (3, 1, 3)]))
    assert verdict.first.tolist() == [False, True, True]
    assert verdict.conflicts.tolist() == [False, True, False]
    assert verdict.counted_generations.tolist() == [4]


@pytest.mark.parametrize(
    ("sizes", "levels"),
    [
        pytest.param([1] * 1_000, 11, id="one at a time"),
        pytest.param([1_000, *[1] * 50], 8, id="a large one first"),
        pytest.param([1, 4, 16, 64, 256], 1, id="ever larger"),
        pytest.param([256, 64, 16, 4, 1], 5, id="ever smaller"),
    ],
)
def test_levels_stay_few_and_all_are_searched(sizes: list[int], levels: int) -> None:
    seen, total = SeenIds(), sum(sizes)
    hashes = np.random.default_rng(1).permutation(total).astype(np.uint64).tolist()
    start = 0
    for size in sizes:
        chunk = hashes[start : start + size]
        assert seen.add(batch([(event, 7, 2) for event in chunk])).first.all()
        start += size
        assert len(seen.levels) <= np.log2(start) + 2
    assert len(seen.levels) <= levels
    again = seen.add(batch([(event, 7, 2) for event in hashes]))
    assert not again.first.any()
    assert len(again.cross_duplicates) == 0
    assert len(seen) == total


def test_many_contents_of_one_id_are_told_apart_over_levels() -> None:
    seen = SeenIds()
    for content in range(40):
        verdict = seen.add(batch([(5, content, 1)]))
        assert verdict.first.tolist() == [True]
        assert verdict.conflicts.tolist() == [content > 0]
    assert not seen.add(batch([(5, content, 1) for content in reversed(range(40))])).first.any()


def test_nothing_gives_nothing() -> None:
    seen = SeenIds()
    verdict = seen.add(batch([]))
    assert (len(verdict.first), len(verdict.cross_duplicates), len(seen)) == (0, 0, 0)
    assert seen.dump().schema == ID_SCHEMA
