"""Copies count once: within a bundle, across bundles and panes, in each kind of window, and only then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows, Sessions, SlidingWindows
from oracles.windowed_transcripts import Click, Measured, Step, Watermark, as_batch, as_dict, told

from tandem.schemas.errors import DefinitionError
from tandem.transforms.windowed.events.deduplicating import digests_of, id_windowing, new_rows

ACCUMULATING, DISCARDING = AccumulationMode.ACCUMULATING, AccumulationMode.DISCARDING


@dataclass(frozen=True)
class Copies:
    name: str
    windows: Any
    mode: Any
    story: Sequence[Step]
    finals: dict[tuple[int, int, str], tuple[int, float]]
    """Of each window and page what its panes come to: the last one, or the sum of all."""


A, B = Click(1, 1.0, id="a"), Click(2, 2.0, id="b")
LATE: Sequence[Step] = [[A, A], [B], A, Watermark(12), B, Click(3, 4.0, id="c"), Click(3, 4.0, id="c")]

STORIES = [
    Copies("fixed, accumulating", FixedWindows(10), ACCUMULATING, LATE, {(0, 10, "home"): (3, 7.0)}),
    Copies("fixed, discarding", FixedWindows(10), DISCARDING, LATE, {(0, 10, "home"): (3, 7.0)}),
    Copies(
        "fixed: an id counts in each of two windows",
        FixedWindows(10),
        ACCUMULATING,
        [A, Click(11, 8.0, id="a")],
        {(0, 10, "home"): (1, 1.0), (10, 20, "home"): (1, 8.0)},
    ),
    Copies(
        "sliding: once in each window",
        SlidingWindows(10, 5),
        DISCARDING,
        LATE,
        {(-5, 5, "home"): (3, 7.0), (0, 10, "home"): (3, 7.0)},
    ),
    Copies(
        "sessions: by page",
        Sessions(5),
        ACCUMULATING,
        [[A, B], A, Click(20, 8.0, "away", id="d"), Watermark(40), Click(20, 8.0, "away", id="d")],
        {(1, 7, "home"): (2, 3.0), (20, 25, "away"): (1, 8.0)},
    ),
]


def strategy(copies: Copies) -> beam.WindowInto:
    fires = AfterWatermark(early=AfterCount(1), late=AfterCount(1))
    return beam.WindowInto(copies.windows, trigger=fires, accumulation_mode=copies.mode, allowed_lateness=100)


@pytest.mark.parametrize("copies", STORIES, ids=lambda one: one.name)
def test_copies_count_once(copies: Copies) -> None:
    settings: dict[str, Any] = {"event_time": "at", "event_id": "id", "deduplicate": True}
    form = as_batch if copies.mode == DISCARDING else as_dict
    found = told(copies.story, form, {"once": Measured(strategy(copies), settings)})["once"]
    finals: dict[tuple[int, int, str], tuple[int, float]] = {}
    for _, start, end, page, n, total in found:
        before = finals.get((start, end, page), (0, 0.0)) if copies.mode == DISCARDING else (0, 0.0)
        finals[start, end, page] = (before[0] + n, before[1] + (total or 0))
    assert finals == copies.finals


def test_elements_in_windows_of_their_own() -> None:
    """Without a column of times ids are remembered in the windows that the elements are in."""
    settings = {"event_id": "id", "deduplicate": True}
    branch = Measured(strategy(STORIES[0]), settings)
    assert told(LATE, as_dict, {"once": branch})["once"][-1][4:] == (3, 7.0)


@pytest.mark.parametrize(
    ("ids", "seen", "new"),
    [
        pytest.param(["a", "b", "a"], [], [0, 1], id="first-of-each"),
        pytest.param(["a", "b", "c", "b"], ["b"], [0, 2], id="not-those-of-before"),
        pytest.param(["a"], ["a", "z"], [], id="none"),
        pytest.param([], ["a"], [], id="no-events"),
    ],
)
def test_new_rows(ids: list[str], seen: list[str], new: list[int]) -> None:
    known = b"".join(digests_of(pa.array(seen, pa.string())).to_pylist())
    assert new_rows(digests_of(pa.array(ids, pa.string())), known).tolist() == new


def test_sessions_of_elements_cant_tell_copies_apart() -> None:
    with pytest.raises(DefinitionError, match="name the column of event times as event_time"):
        id_windowing(beam.WindowInto(Sessions(5)).windowing, by_column=False)
