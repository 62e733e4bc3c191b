"""Transcripts: early, on time and late panes of fixed, sliding and session windows, accumulating and discarding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterWatermark
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows
from oracles.windowed_transcripts import PRISM, Click, Grouped, Measured, Pane, Step, Watermark, as_batch, as_dict, told

from tandem.transforms.windowed import CalendarWindows

ACCUMULATING, DISCARDING = AccumulationMode.ACCUMULATING, AccumulationMode.DISCARDING
HOUR, DAY = 3600, 86_400
MARCH_28 = 1_774_738_800
"""2026-03-28T23:00:00Z: midnight in Berlin, and the day on which clocks go forward."""


@dataclass(frozen=True)
class Transcript:
    name: str
    windows: Any
    mode: Any
    story: Sequence[Step]
    panes: Sequence[Pane]
    lateness: int = 100
    early: int = 1
    late: int = 1

    @property
    def strategy(self) -> beam.WindowInto:
        fires = AfterWatermark(
            early=AfterCount(self.early) if self.early else None, late=AfterCount(self.late) if self.late else None
        )
        return beam.WindowInto(self.windows, trigger=fires, accumulation_mode=self.mode, allowed_lateness=self.lateness)


STORY: Sequence[Step] = [
    Click(1, 1.0),
    [Click(2, 2.0), Click(3, 4.0)],
    Watermark(10),
    Click(4, 8.0),
    Click(14, 100.0),
    Watermark(200),
    Click(5, 16.0),
]
"""Two bundles in time, one late, and one too late; a click of the next window."""

TRANSCRIPTS = [
    Transcript(
        "fixed, accumulating",
        FixedWindows(10),
        ACCUMULATING,
        STORY,
        [
            ("EARLY", 0, 10, "home", 1, 1.0),
            ("EARLY", 0, 10, "home", 3, 7.0),
            ("ON_TIME", 0, 10, "home", 3, 7.0),
            ("LATE", 0, 10, "home", 4, 15.0),
            ("EARLY", 10, 20, "home", 1, 100.0),
            ("ON_TIME", 10, 20, "home", 1, 100.0),
        ],
    ),
    Transcript(
        "fixed, discarding: a pane on time may be empty",
        FixedWindows(10),
        DISCARDING,
        STORY,
        [
            ("EARLY", 0, 10, "home", 1, 1.0),
            ("EARLY", 0, 10, "home", 2, 6.0),
            ("ON_TIME", 0, 10, "home", 0, None),
            ("LATE", 0, 10, "home", 1, 8.0),
            ("EARLY", 10, 20, "home", 1, 100.0),
            ("ON_TIME", 10, 20, "home", 0, None),
        ],
    ),
    Transcript(
        "sliding, accumulating",
        SlidingWindows(10, 5),
        ACCUMULATING,
        STORY,
        [
            ("EARLY", 0, 10, "home", 1, 1.0),
            ("EARLY", -5, 5, "home", 1, 1.0),
            ("EARLY", 0, 10, "home", 3, 7.0),
            ("EARLY", -5, 5, "home", 3, 7.0),
            ("ON_TIME", -5, 5, "home", 3, 7.0),
            ("ON_TIME", 0, 10, "home", 3, 7.0),
            ("LATE", 0, 10, "home", 4, 15.0),
            ("LATE", -5, 5, "home", 4, 15.0),
            ("EARLY", 10, 20, "home", 1, 100.0),
            ("EARLY", 5, 15, "home", 1, 100.0),
            ("ON_TIME", 5, 15, "home", 1, 100.0),
            ("ON_TIME", 10, 20, "home", 1, 100.0),
        ],
    ),
    Transcript(
        "sliding whose period doesn't divide their size, on time and late only, discarding",
        SlidingWindows(10, 4),
        DISCARDING,
        [[Click(1, 1.0), Click(3, 2.0)], Watermark(8), Click(1, 4.0), Watermark(20)],
        [
            ("ON_TIME", -8, 2, "home", 1, 1.0),
            ("ON_TIME", -4, 6, "home", 2, 3.0),
            ("LATE", -4, 6, "home", 1, 4.0),
            ("LATE", -8, 2, "home", 1, 4.0),
            ("ON_TIME", 0, 10, "home", 3, 7.0),
        ],
        early=0,
    ),
    Transcript(
        "sessions, accumulating: a click in time moves the end",
        Sessions(10),
        ACCUMULATING,
        STORY,
        [
            ("EARLY", 1, 11, "home", 1, 1.0),
            ("EARLY", 1, 13, "home", 3, 7.0),
            ("EARLY", 1, 14, "home", 4, 15.0),
            ("EARLY", 14, 24, "home", 1, 100.0),
            ("ON_TIME", 1, 14, "home", 4, 15.0),
            ("ON_TIME", 14, 24, "home", 1, 100.0),
        ],
    ),
    Transcript(
        "sessions, discarding: each key has its own",
        Sessions(10),
        DISCARDING,
        [[Click(1, 1.0), Click(5, 2.0), Click(15, 4.0), Click(8, 8.0, "away")], Watermark(50)],
        [
            ("ON_TIME", 1, 15, "home", 2, 3.0),
            ("ON_TIME", 8, 18, "away", 1, 8.0),
            ("ON_TIME", 15, 25, "home", 1, 4.0),
        ],
        early=0,
    ),
    Transcript(
        "a trigger that counts two counts events, not bundles",
        FixedWindows(10),
        DISCARDING,
        [[Click(1, 1.0), Click(2, 2.0)], Click(3, 4.0), Watermark(10)],
        [("EARLY", 0, 10, "home", 2, 3.0), ("ON_TIME", 0, 10, "home", 1, 4.0)],
        early=2,
    ),
    Transcript(
        "one pane a window: late clicks are dropped",
        FixedWindows(10),
        DISCARDING,
        STORY,
        [("ON_TIME", 0, 10, "home", 3, 7.0), ("ON_TIME", 10, 20, "home", 1, 100.0)],
        lateness=0,
        early=0,
        late=0,
    ),
    Transcript(
        "days of a zone: of 23 hours in March",
        CalendarWindows("day", "Europe/Berlin"),
        ACCUMULATING,
        [[Click(MARCH_28 - 1, 1.0), Click(MARCH_28 + 23 * HOUR - 1, 2.0), Click(MARCH_28 + 23 * HOUR, 4.0)]],
        [
            ("ON_TIME", MARCH_28 - DAY, MARCH_28, "home", 1, 1.0),
            ("ON_TIME", MARCH_28, MARCH_28 + 23 * HOUR, "home", 1, 2.0),
            ("ON_TIME", MARCH_28 + 23 * HOUR, MARCH_28 + 23 * HOUR + DAY, "home", 1, 4.0),
        ],
        early=0,
    ),
]


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda one: one.name)
def test_panes(transcript: Transcript) -> None:
    """The tables are Beam's model, and not what Tandem happens to do: its own GroupByKey says the same."""
    branches = {"measures": Measured(transcript.strategy), "GroupByKey": Grouped(transcript.strategy)}
    found = told(transcript.story, as_dict, branches)
    assert {name: in_order(panes) for name, panes in found.items()} == dict.fromkeys(
        branches, in_order(transcript.panes)
    )


@pytest.mark.parametrize("transcript", TRANSCRIPTS[1::3], ids=lambda one: one.name)
def test_forms_of_elements_make_no_difference(transcript: Transcript) -> None:
    nowhere = beam.WindowInto(GlobalWindows())
    branches = {
        "rows": Measured(transcript.strategy, before=beam.Map(lambda row: beam.Row(**row))),
        "by column": Measured(transcript.strategy, {"event_time": "at"}),
        "windows of its own": Measured(nowhere, {"event_time": "at", "windows": transcript.strategy}),
        "windows of its own, times of the elements": Measured(nowhere, {"windows": transcript.strategy}),
    }
    found = told(transcript.story, as_dict, branches)
    assert {name: in_order(panes) for name, panes in found.items()} == dict.fromkeys(
        branches, in_order(transcript.panes)
    )


@pytest.mark.parametrize("transcript", TRANSCRIPTS[::2], ids=lambda one: one.name)
def test_panes_of_record_batches(transcript: Transcript) -> None:
    found = told(transcript.story, as_batch, {"batches": Measured(transcript.strategy, {"event_time": "at"})})
    assert in_order(found["batches"]) == in_order(transcript.panes)


ON_PRISM = [
    pytest.param(one, id=one.name, marks=[] if one is TRANSCRIPTS[0] else pytest.mark.slow) for one in TRANSCRIPTS
]


@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("transcript", ON_PRISM)
def test_values_on_prism(transcript: Transcript) -> None:
    """Prism says timing anew after a pane on time, and fires otherwise: what panes amount to is the same."""
    branches = {"measures": Measured(transcript.strategy), "GroupByKey": Grouped(transcript.strategy)}
    found = told(transcript.story, as_dict, branches, PRISM)
    adds_up = transcript.mode is DISCARDING
    assert {name: amounts(panes, adds_up) for name, panes in found.items()} == dict.fromkeys(
        branches, amounts(transcript.panes, adds_up)
    )


def amounts(found: Iterable[Pane], adds_up: bool) -> dict[tuple[int, int, str], tuple[int, float]]:
    """What the panes of each window and key come to in the end: their sum, or the last one that grew."""
    of_window: dict[tuple[int, int, str], tuple[int, float]] = {}
    for _, start, end, page, number, total in found:
        place, value = (start, end, page), total or 0.0
        known = of_window.get(place, (0, 0.0))
        of_window[place] = (known[0] + number, known[1] + value) if adds_up else max(known, (number, value))
    return {place: value for place, value in of_window.items() if value[0]}


def in_order(found: Iterable[Pane]) -> dict[tuple[int, int, str], list[Pane]]:
    """The panes of each window and key: runners say nothing of the order of others."""
    by_window: dict[tuple[int, int, str], list[Pane]] = {}
    for pane in found:
        by_window.setdefault((pane[1], pane[2], pane[3]), []).append(pane)
    return by_window
