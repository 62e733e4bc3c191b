"""Beam's windows and triggers over nudges: what panes hasten is what the view says, whenever they fire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms import trigger
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from oracles.result_laws import check_answers, check_revisions
from oracles.windowed_transcripts import PRISM, RUNNER
from without_runner.result_stories import BEGIN, Event, Story, definition_of

from tandem.schemas.time.durations import MINUTE
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.results.nudges import DrainByPanes, trigger_of

FIXED = "{window: 2m, trigger: {early: 1s}, lateness: 5m, to: log}"
STORIES = {
    "fixed": FIXED,
    "on-time": "{window: 2m, to: log}",
    "sliding": "{window: {size: 3m, every: 1m}, to: log}",
    "calendar": "{window: {calendar: day, zone: Europe/Berlin}, to: log}",
    "session": "{window: {session: 2m}, mode: retracting, to: log}",
    "discarding": "{window: 1m, mode: discarding, to: log}",
}
MINUTES = ([Event(0.5), Event(1.5, user="bob")], [Event(2.5)], [Event(0.7, amount=4)], [Event(9.5)])
"""What comes before watermarks of 1, 4, 8 and 100 minutes: in time, in time, late, and after an idle stretch."""
ENDS = (1, 4, 8, 100)


class Act(beam.DoFn):  # type: ignore[misc]
    """Writes what one step of a story writes, and gives on which tiles it wrote, as the sink of live states does."""

    def __init__(self, path: str, result: str, tile: str) -> None:
        self._path, self._result, self._tile = path, result, tile

    def process(self, step: int) -> Iterator[TimestampedValue]:
        story = Story(self._path, definition_of(self._result, tile=self._tile))
        try:
            story.run, story.segments = "L", 10 * step
            story.events = [event for events in MINUTES[:step] for event in events]
            story.live(*MINUTES[step])
            story.watermark(ENDS[step])
            for event in MINUTES[step]:
                tile = story._tile(event)
                yield TimestampedValue(tile, Timestamp(micros=tile))
        finally:
            story.close()


def run(story: Story, path: Path, result: str, tile: str, runner: str = RUNNER) -> list[int]:
    """The story's steps through DrainByPanes; how many revisions its panes wrote."""
    stream = TestStream()
    for step, end in enumerate(ENDS):
        stream = stream.add_elements([TimestampedValue(step, Timestamp(micros=BEGIN + step * MINUTE))])
        stream = stream.advance_processing_time(1).advance_watermark_to(Timestamp(micros=BEGIN + end * MINUTE))
    stream = stream.advance_watermark_to_infinity()
    options = PipelineOptions(runner=runner)
    options.view_as(StandardOptions).streaming = True
    counts: list[int] = []
    with beam.Pipeline(options=options) as pipeline:
        tiles = pipeline | stream | beam.ParDo(Act(str(path), result, tile)).with_output_types(int)
        drained = tiles | DrainByPanes(story.compiled.definition, LiveRunRef(str(path), "L", None))
        _ = drained | beam.Map(_collect, str(path)).with_output_types(int)
    counts.extend(int(line) for line in Path(f"{path}.counts").read_text("ascii").splitlines())
    return counts


def _collect(count: int, path: str) -> int:
    with open(f"{path}.counts", "a", encoding="ascii") as file:
        file.write(f"{count}\n")
    return count


ON_PRISM = [
    pytest.param(name, PRISM, id=f"{name}-on-prism", marks=[pytest.mark.slow] * (name != "fixed")) for name in STORIES
]


@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize(("name", "runner"), [*((name, RUNNER) for name in STORIES), *ON_PRISM])
def test_panes_hasten_what_is_sent(tmp_path: Path, name: str, runner: str) -> None:
    """Whatever panes a runner fires: numbers count on, timing never falls, and the last revision is the answer."""
    result, path = STORIES[name], tmp_path / "v.db"
    tile = "1h" if name == "calendar" else "1m"
    story = Story(path, definition_of(result, tile=tile))
    story.serve()
    written = run(story, path, result, tile, runner)
    assert sum(written) == len(story.outbox()) or name == "fixed", "early messages that wait are replaced"
    assert sum(written) > 0 or name == "calendar", "the day isn't over yet"
    story.events = [event for events in MINUTES for event in events]
    sent = story.deliver()
    check_revisions(sent)
    story.watermark(10_000)
    story.deliver()
    check_revisions(story.output.sent)
    check_answers(story)
    story.close()


@pytest.mark.parametrize(
    ("result", "early"),
    [
        pytest.param(FIXED, trigger.AfterProcessingTime(1), id="early"),
        pytest.param("{window: 2m, to: log}", None, id="on-time-and-late"),
    ],
)
def test_the_trigger_is_that_of_the_definition(result: str, early: Any) -> None:
    made = trigger_of(definition_of(result).definition)
    assert str(made) == str(trigger.AfterWatermark(early=early, late=trigger.AfterCount(1)))
